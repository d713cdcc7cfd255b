"""Writes the tables of docs/settings.md and docs/commands.md out of the code: `make docs`.

What stands outside their markers is written by hand. A test fails while a page is stale.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from flask import Flask
from msgspec import Meta
from msgspec.structs import FieldInfo, fields

from helpdesk_numbers import cli
from helpdesk_numbers.settings import Settings
from providers.base.options import describe

DOCS = Path(__file__).parent
MARKED = re.compile(r"(<!-- made by `make docs`[^>]*-->\n).*?(?=<!-- end -->)", re.S)

MORE = {
    "HUBSPOT_CLIENT_SECRET": "operating.md#a-new-client-secret",
    "PUBLIC_URL": "operating.md#proxies",
    "TRUSTED_PROXIES": "operating.md#proxies",
    "HUBSPOT_WEBHOOK_KEY": "security.md#the-key",
    "HUBSPOT_DEVELOPER_API_KEY": "registering.md#which-credential-is-which",
    "DIRECTORY": "directory.md",
    "DATABASE_URL": "database.md",
    "ENCRYPTION_KEYS": "database.md#keys",
    "ADMIN_TOKENS": "api.md",
    "HUBSPOT_CLIENT_ID": "install.md",
    "HUBSPOT_SCOPES": "install.md#the-app-at-hubspot",
    "HUBSPOT_NEW_PORTAL_USERS": "install.md#what-a-new-portal-sees",
    "HUBSPOT_UNINSTALL_GRACE_DAYS": "install.md#when-a-customer-leaves",
    "HUBSPOT_PORTAL_TOKEN": "who-sees-what.md#the-token",
    "DIRECTORY_TOML": "directory.md#without-a-file",
    "PROVIDER": "providers/README.md",
    "LOOKUP_DEADLINE": "operating.md#workers-threads-deadline",
    "LAST_KNOWN_GOOD": "operating.md#when-a-carrier-fails",
    "LOG_LEVEL": "operating.md#logs",
    "WEB_THREADS": "operating.md#workers-threads-deadline",
}
"""Where a setting is told about at length."""


def settings_table() -> str:
    """Make the table of all settings."""
    rows = [f"| `{f.name.upper()}` | {default(f)} | {_meaning(f)} |" for f in fields(Settings)]
    return "\n".join(["| name | default | meaning |", "|---|---|---|", *rows])


def default(field: FieldInfo) -> str:
    """Write a setting's default as Markdown: `required`, `none` or the value."""
    if field.required or field.name == "hubspot_client_secret":  # commands do without
        return "required"
    value = field.default
    if value in (None, ()):
        return "none"
    return f"`{','.join(value) if isinstance(value, tuple) else value}`"


def _meaning(field: FieldInfo) -> str:
    target = MORE.get(field.name.upper())
    more = f" ([more]({target}))" if target else ""
    return "; ".join([describe(field), *_limits(field.type)]) + more


def _limits(kind: Any) -> Iterator[str]:
    """The choices, and the largest value if it is one to remember."""
    if get_origin(kind) is Literal:
        yield "choices: " + ", ".join(f"`{choice}`" for choice in get_args(kind))
    for part in get_args(kind):
        if isinstance(part, Meta) and part.le is not None and part.le < 100_000:
            yield f"at most {part.le}"
        yield from _limits(part)


def commands() -> str:
    """Make the table of all commands, and what `--help` says of each."""
    app = Flask("commands")
    cli.register(app)
    every = list(_commands(app.cli, "flask"))
    rows = [f"| [`{name}`](#{name.replace(' ', '-')}) | {_summary(each)} |" for name, each in every]
    sections = [f"## {name}\n\n```text\n{_help(each, name)}\n```" for name, each in every]
    return "\n\n".join(["\n".join(["| command | does |", "|---|---|", *rows]), *sections])


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """The command, or those of a group, with their names as one types them."""
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for inner in command.list_commands(context):
            if found := command.get_command(context, inner):
                yield from _commands(found, f"{name} {inner}")


def _summary(command: click.Command) -> str:
    text = inspect.cleandoc(command.help or "").partition("\n\n")[0]
    return " ".join(text.split()).removesuffix(".")


def _help(command: click.Command, name: str) -> str:
    return command.get_help(click.Context(command, info_name=name, terminal_width=96))


PAGES = {DOCS / "settings.md": settings_table, DOCS / "commands.md": commands}


def fresh(page: Path) -> str:
    """Read a page, and put what the code says now between its markers."""
    before, marker, rest = MARKED.split(page.read_text("utf-8"))
    return f"{before}{marker}{PAGES[page]()}\n{rest}"


if __name__ == "__main__":
    for _page in PAGES:
        _page.write_text(fresh(_page), "utf-8")
