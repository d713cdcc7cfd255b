"""The commands of `flask`, a file each."""

from flask import Flask

from . import providers
from .check import check
from .connection import channel_connection
from .numbers import numbers
from .webhook import webhook


def register(app: Flask) -> None:
    """Attach the commands to `flask`."""
    for command in (numbers, providers.group, webhook, channel_connection, check):
        app.cli.add_command(command)
