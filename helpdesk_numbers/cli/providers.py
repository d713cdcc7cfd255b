"""`flask providers`: which there are, trying one out, and the files of a new one."""

import keyword
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import click
from flask.cli import with_appcontext
from msgspec.structs import FieldInfo, fields
from tabulate import tabulate

import providers
from helpdesk_numbers.lookup.rules import judge
from helpdesk_numbers.service import current_service
from providers import PhoneNumber, Provider, ProviderError
from providers.base.options import Problems, describe, from_environ, is_secret

from .listing import list_with_timeout
from .output import (
    Group,
    as_json,
    count,
    example,
    failing_unanswered,
    print_json,
    remedy_for,
    try_again,
    with_remedy,
)

ROOT = Path(providers.__file__).parent.parent
TEMPLATE = ROOT / "examples" / "carrier-package"


@click.group(
    "providers", cls=Group, invoke_without_command=True, epilog=example("providers --json")
)
@as_json
@click.pass_context
def group(context: click.Context, as_json: bool) -> None:
    """Show all providers, built-in and installed, their options, and which of these are set."""
    if context.invoked_subcommand is None:
        context.invoke(show, as_json=as_json)


@with_appcontext
def show(as_json: bool) -> None:
    """Print all providers: what `flask providers` does without a command."""
    described = [_described(name, current_service().environ) for name in providers.names()]
    if as_json:
        print_json(described)
        return
    for provider in described:
        broken = f" ({provider['error']})" if provider["error"] else ""
        click.echo(f"{provider['provider']}{broken}")
        rows = [
            [
                option["option"],
                option["variable"],
                "required" if option["required"] else "",
                "set" if option["set"] else "",
                "; ".join(filter(None, ["secret" if option["secret"] else "", option["help"]])),
            ]
            for option in provider["options"]
        ]
        click.echo(tabulate(rows, tablefmt="plain").replace("\n", "\n  ").join(("  ", "\n")))


def _described(name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        options = fields(providers.load(name).Options)
    except ImportError as error:
        return {"provider": name, "error": str(error), "options": []}
    described = [
        {
            "option": option.name,
            "variable": (variable := _variable(name, option)),
            "required": option.required,
            "secret": is_secret(option),
            "set": bool(environ.get(variable)),
            "help": describe(option),
        }
        for option in options
    ]
    return {"provider": name, "error": None, "options": described}


def _variable(name: str, option: FieldInfo) -> str:
    return providers.prefix(name) + option.name.upper()


@group.command("try", epilog=example("providers try twilio"))
@click.argument("name")
@click.option(
    "--deadline",
    type=click.FloatRange(0.1, 120),
    default=10.0,
    show_default=True,
    help="Seconds for the whole answer.",
)
@as_json
def try_(name: str, deadline: float, as_json: bool) -> None:
    """List the numbers of one account at the provider NAME, and say which are usable.

    Needs no directory. The account's options are read from its variables (`flask providers` names
    them), and asked for where they are required and not set. Exits with 1 if the account fails.
    """
    account = _account(name)
    try:
        numbers = list_with_timeout(account, deadline)
    except ProviderError as error:
        _fail(name, error, as_json)
    listed = [_judged(number, account.options.country) for number in numbers]
    if as_json:
        print_json({"provider": name, "error": None, "numbers": listed})
        return
    rows = [
        [line["number"], line["extension"], line["name"], " ".join(line["owners"]),
         line["reason"] or "usable"]
        for line in listed
    ]  # fmt: skip
    if rows:
        headers = ["number", "extension", "name", "owners", "usable"]
        click.echo(tabulate(rows, headers, disable_numparse=True))
    usable = sum(line["usable"] for line in listed)
    click.echo(f"{count(len(listed), 'number')}, {usable} of them usable")


def _account(name: str) -> Provider:
    try:
        kind = providers.load(name)
    except LookupError as error:
        raise click.UsageError(str(error.args[0])) from None
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    options = _options(name, kind)
    try:
        return kind(options, name)
    except Exception as error:  # a third party's package may fail in any way
        raise click.ClickException(
            f"{name} takes no such options: {type(error).__name__}"
        ) from None


def _options(name: str, kind: type[Provider]) -> Provider.Options:
    """The account's options out of the environment, and of answers for what is missing there."""
    environ = dict(current_service().environ)
    while True:
        problems = Problems()
        options = from_environ(kind.Options, environ, problems, providers.prefix(name))
        if options is not None:
            return options
        faults: list[str] = [*problems.lines]
        lacking = [
            option
            for option in fields(kind.Options)
            if not environ.get(variable := _variable(name, option))
            and any(re.match(rf"{variable}\b", fault) for fault in faults)
        ]
        if not lacking:
            raise click.UsageError("\n".join(faults))
        for option in lacking:
            environ[_variable(name, option)] = _answer(name, option, faults)


def _answer(name: str, option: FieldInfo, faults: list[str]) -> str:
    meaning = describe(option)
    question = _variable(name, option) + (f" ({meaning})" if meaning else "")
    with failing_unanswered(click.UsageError("\n".join(faults))):
        return str(click.prompt(question, hide_input=is_secret(option), err=True))


def _judged(number: PhoneNumber, country: str | None) -> dict[str, Any]:
    judged = judge(number, country)
    owners = [str(owner) for owner in number.owners]
    return {**judged._asdict(), "owners": owners, "usable": judged.reason is None}


def _fail(name: str, error: ProviderError, as_json: bool) -> NoReturn:
    if as_json:
        data = {"outcome": error.outcome, "message": str(error), "retryAfter": error.retry_after_s}
        print_json({"provider": name, "error": data, "numbers": []})
        raise click.exceptions.Exit(1)
    text = f"{name}: {error.outcome}: {error}{try_again(error)}"
    raise click.ClickException(with_remedy(text, remedy_for(error)))


FILES = {
    "larkline.json": (
        "tests/data/larkline/numbers.json",
        "a reply from the carrier's documentation, its source, and fictional numbers in it",
    ),
    "larkline.py": (
        "providers/larkline.py",
        "source, base_url, options, authorisation, first request, next page, fields",
    ),
    "test_larkline.py": (
        "tests/test_providers_larkline.py",
        "the same facts in the carrier's words, and what only this carrier does",
    ),
    "README.md": (
        "docs/providers/larkline.md",
        "where to get credentials, options, which numbers are usable, limits",
    ),
    "pyproject.toml": ("", "its description"),
}
"""Each file of the template: where it goes in a checkout, if there, and what to fill in."""


@group.command("new", epilog=example("providers new thrush --package ../thrush"))
@click.argument("name")
@click.option(
    "--package",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Make a package of its own in this folder, instead of a built-in provider.",
)
def new(name: str, folder: Path | None) -> None:
    """Write the files of a new provider NAME, to be filled in; its tests already pass.

    NAME is in lower case. It becomes the module, the variables' prefix, the test and the page.
    Nothing is overwritten. Needs a checkout.
    """
    if not TEMPLATE.is_dir():
        raise click.ClickException("this needs a checkout: there is no examples/carrier-package")
    kind = "".join(part.capitalize() for part in name.split("_"))
    _check_name(name, kind)
    if folder is not None and find_spec(name):
        raise click.UsageError(f"{name!r} is a module of another package already")
    targets = {
        source: folder / source.replace("larkline", name)
        if folder
        else ROOT / place.replace("larkline", name)
        for source, (place, _) in FILES.items()
        if folder or place
    }
    for target in targets.values():
        if target.exists():
            raise click.UsageError(f"{_shown(target)} exists already")
    for source, target in targets.items():
        text = (TEMPLATE / source).read_text("utf-8")
        if folder is None:
            text = text.partition("\n## Install\n")[0]
            text = text.replace('/ "larkline.json"', '/ "data" / "larkline" / "numbers.json"')
        text = text.replace("examples/carrier-package", "FOLDER")
        text = text.replace("2026-11-22", datetime.now(UTC).date().isoformat())
        text = text.replace("larkline", name).replace("LARKLINE", name.upper())
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as new_file:
            new_file.write(text.replace("Larkline", kind))
    steps = [f"{_shown(target)}: {FILES[source][1]}" for source, target in targets.items()]
    test = f".venv/bin/pytest {_shown(targets['test_larkline.py'])}"
    if folder is None:
        steps.append("docs/providers/README.md: a row in the table of providers")
        steps.append("CHANGELOG.md: a line")
    else:
        test = f".venv/bin/pip install -e {folder} && .venv/bin/python -m pytest {folder}"
    click.echo("Written. The tests pass as they are, for the invented carrier Larkline. Fill in:")
    for number, step in enumerate(steps, 1):
        click.echo(f"{number}. {step}")
    click.echo(f"Check with:   {test}")
    click.echo(f"Then with:    .venv/bin/flask providers try {name}")


def _check_name(name: str, kind: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise click.UsageError(f"{name!r} is no name: use a-z, 0-9 and single _, a letter first")
    if len(name) > 30:
        raise click.UsageError(f"{name!r} is too long: 30 characters at most")
    if name in providers.names():
        raise click.UsageError(f"the provider {name!r} exists already")
    folder = Path(providers.__file__).parent
    taken = (folder / f"{name}.py").exists() or (folder / name).exists()
    if taken or re.search(rf"\b{kind}\b", (TEMPLATE / "larkline.py").read_text("utf-8")):
        raise click.UsageError(f"{name!r} means something else in providers/")


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
