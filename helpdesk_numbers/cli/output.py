"""What the commands share that print: `--json`, also of failures, remedies, and counts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask.cli import AppGroup

from providers import ProviderError
from providers.base.errors import RateLimited, Refused, Unreachable

_AS_JSON = f"{__name__}.as_json"


def _remember(context: click.Context, _: click.Parameter, value: bool) -> bool:
    context.meta[_AS_JSON] = value  # which a command's group sees too
    return value


as_json = click.option(
    "--json", "as_json", is_flag=True, callback=_remember, help="Print JSON, even of a failure."
)


class Command(click.Command):
    """A command of which `--json` prints JSON even when it fails: `{"error": …}`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and print its failure as JSON too if `--json` is given."""
        try:
            return self.run(ctx)
        except click.ClickException as error:
            if ctx.meta.get(_AS_JSON):
                print_json({"error": error.format_message()})
            raise

    def run(self, ctx: click.Context) -> Any:
        """Run the command. A group may turn its own errors into ClickExceptions here."""
        return super().invoke(ctx)


class Group(Command, AppGroup):
    """The same for a group and each command in it."""


def example(command: str) -> str:
    """Return the last line of a command's `--help`, without rewrapping."""
    return f"\b\nExample: flask {command}"


def print_json(data: object) -> None:
    """Print JSON for scripts and for people: letters stay letters, times become ISO 8601."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False, default=lambda at: at.isoformat()))


def count(number: int, noun: str) -> str:
    """Return `1 number`, `2 numbers`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


@contextmanager
def failing_unanswered(failure: click.ClickException) -> Iterator[None]:
    """Raise `failure` where a question meets the end of the input: nobody is there to answer it."""
    try:
        yield
    except click.Abort as abort:
        if isinstance(abort.__context__, EOFError):
            click.echo(err=True)  # ends the question's line
            raise failure from None
        raise


def with_remedy(text: str, remedy: str) -> str:
    """Return a text, and what to do about it on a line below if anything can be done."""
    return f"{text}\n  → {remedy}" if remedy else text


def try_again(error: ProviderError) -> str:
    """Return what the carrier said of when to ask again, or nothing."""
    return f", try again in {error.retry_after_s:.0f} s" if error.retry_after_s else ""


def remedy_for(error: ProviderError) -> str:
    """Return what to do about a carrier's failure."""
    if isinstance(error, Refused):
        return (
            "check the credentials, their permissions and the account's id: `flask providers`"
            " lists the options"
        )
    if isinstance(error, RateLimited):
        return "wait, and find out what else uses up the account's limit"
    if isinstance(error, Unreachable):
        return "check the network, base_url if it is set, and the carrier's status page"
    return "check base_url if it is set; if it is right, the carrier changed its API: report it"
