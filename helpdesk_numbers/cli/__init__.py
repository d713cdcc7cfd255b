"""The commands of `flask`, a file each, imported when it is looked up: serving starts without."""

from pkgutil import resolve_name

import click
from flask import Flask
from flask.cli import AppGroup

COMMANDS = {
    "accounts": "accounts:accounts",
    "channel-connection": "connection:channel_connection",
    "check": "check:check",
    "database": "database:database",
    "directory": "directory:directory",
    "keys": "database:keys",
    "numbers": "numbers:numbers",
    "portals": "portals:portals",
    "providers": "providers:group",
    "users": "users:users",
    "webhook": "webhook:webhook",
}
"""Each command's module in this folder, and its name there."""


class Commands(AppGroup):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, if there is one."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = resolve_name(f"{__name__}.{COMMANDS[cmd_name]}")
        return command


def register(app: Flask) -> None:
    """Attach the commands to `flask`."""
    app.cli = Commands(app.name)
