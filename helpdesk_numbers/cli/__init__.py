"""The commands of `flask`, a file each."""

from flask import Flask

from . import check, connection, numbers, providers, webhook


def register(app: Flask) -> None:
    """Attach the commands to `flask`."""
    for command in (
        numbers.numbers,
        providers.group,
        webhook.webhook,
        connection.channel_connection,
        check.check,
    ):
        app.cli.add_command(command)
