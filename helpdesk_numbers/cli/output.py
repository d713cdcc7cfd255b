"""What the commands share that print: `--json`, also of failures, remedies and counts."""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NoReturn

import click
import msgspec
from flask.cli import AppGroup

from helpdesk_numbers.service import current_service
from hubspot.errors import HubSpotRefused, LookupFailed

_AS_JSON = f"{__name__}.as_json"

as_json = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    callback=lambda context, _, value: context.meta.update({_AS_JSON: value}),  # a group sees it
    help="Print JSON, even of a failure.",
)


def wants_json() -> bool:
    """Return whether the command that runs was given `--json`."""
    return bool(click.get_current_context().meta.get(_AS_JSON))


class Command(click.Command):
    """A command of which `--json` prints JSON even when it fails: `{"error": …}`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and print its failure as JSON too if `--json` is given.

        Ctrl-C ends it at once with 130, as shells have it, whatever its threads wait for.
        """
        try:
            return self.run(ctx)
        except KeyboardInterrupt:
            _leave()
        except click.Abort as abort:
            if isinstance(abort.__context__, KeyboardInterrupt):
                _leave()
            raise
        except click.ClickException as error:
            if wants_json():
                print_json({"error": error.format_message()})
            raise
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EIO):
                raise
            raise click.ClickException(
                f"what it says cannot be written: {error.strerror}"
            ) from None
        finally:
            current_service().close()

    def run(self, ctx: click.Context) -> Any:
        """Run the command. A group may turn its own errors into ClickExceptions here."""
        try:
            return super().invoke(ctx)
        except LookupFailed as error:
            raise click.ClickException(of_hubspot(error)) from None


def _leave() -> NoReturn:
    click.echo(err=True)
    sys.stdout.flush()
    os._exit(130)


class Group(Command, AppGroup):
    """The same for a group and each command in it."""


def example(command: str) -> str:
    """Return the last line of a command's `--help`, without rewrapping."""
    return f"\b\nExample: flask {command}"


def print_json(data: object) -> None:
    """Print JSON for scripts and for people: letters stay letters, times become ISO 8601."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False, default=_as_data))


def _as_data(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return msgspec.to_builtins(value, builtin_types=(datetime,))


def emit(data: object, lines: Iterable[str]) -> None:
    """Print `data` if `--json` is given, else the lines, which are made only then."""
    if wants_json():
        print_json(data)
    else:
        for line in lines:
            click.echo(line)


def style(text: str, colour: str) -> str:
    """Return the text in a colour, which click leaves out where there is no terminal; none with
    NO_COLOR: https://no-color.org"""
    return text if os.environ.get("NO_COLOR") else click.style(text, colour)


def count(number: int, noun: str) -> str:
    """Return `1 number`, `2,000 numbers`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def ask(question: Callable[..., Any], unanswered: click.ClickException, *args: Any) -> Any:
    """Return what `question(*args)` does, click's `prompt` or `confirm`.

    Raises `unanswered` at the end of the input, where nobody is there to answer.
    """
    try:
        return question(*args)
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):
            raise
        click.echo(err=True)  # ends the question's line
    raise unanswered


def of_hubspot(error: LookupFailed) -> str:
    """Return what went wrong with asking HubSpot, and what to do about it."""
    return with_remedy(str(error), error.remedy if isinstance(error, HubSpotRefused) else "")


def with_remedy(text: str, remedy: str) -> str:
    """Return a text, and what to do about it on a line below if anything can be done."""
    return f"{text}\n  → {remedy}" if remedy else text
