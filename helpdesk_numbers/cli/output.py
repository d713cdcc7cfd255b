"""What the commands share that print: `--json`, also of failures, and counts."""

import json
from typing import Any

import click
from flask.cli import AppGroup

from providers import ProviderError
from providers.base.errors import RateLimited, Refused, Unreachable

_AS_JSON = f"{__name__}.as_json"


def _remember(context: click.Context, _: click.Parameter, value: bool) -> bool:
    context.meta[_AS_JSON] = value  # which a command's group sees too
    return value


as_json = click.option("--json", "as_json", is_flag=True, callback=_remember, help="Print JSON.")


class Command(click.Command):
    """A command of which `--json` prints JSON even when it fails: `{"error": …}`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and print its failure as JSON too if that is wanted."""
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


def print_json(data: object) -> None:
    """For scripts, and for people: letters stay letters."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def count(number: int, noun: str) -> str:
    """`1 number`, `2 numbers`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def try_again(error: ProviderError) -> str:
    """What the carrier said of when to ask again, if it did."""
    return f", try again in {error.retry_after_s:.0f} s" if error.retry_after_s else ""


def remedy_for(error: ProviderError) -> str:
    """What to do about a carrier's failure."""
    if isinstance(error, Refused):
        return (
            "check the credentials, their permissions and the account's id: `flask providers`"
            " lists the options"
        )
    if isinstance(error, RateLimited):
        return "wait, and see who else uses up the account's limit"
    if isinstance(error, Unreachable):
        return "check the network, base_url if it is set, and the carrier's status page"
    return "check base_url if it is set; else the carrier has changed its API: report it"
