"""`flask providers`: which there are, trying one out, and the files of a new one."""

import keyword
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from msgspec.structs import FieldInfo, fields
from tabulate import tabulate

import providers
from helpdesk_numbers.lookup.judge import judge
from helpdesk_numbers.remedies import in_words
from helpdesk_numbers.service import current_service
from helpdesk_numbers.settings import ConfigurationError, Settings
from providers import PhoneNumber, Provider, ProviderError
from providers.base.options import Problems, describe, from_environ, is_secret

from . import output
from .listing import list_with_timeout
from .output import example

ROOT = Path(providers.__file__).parent.parent
TEMPLATE = ROOT / "examples" / "carrier-package"


@click.group(
    "providers", cls=output.Group, invoke_without_command=True, epilog=example("providers --json")
)
@output.as_json
@click.pass_context
def group(context: click.Context) -> None:
    """Show all providers, built-in and installed, their options, and which of these are set."""
    if context.invoked_subcommand is None:
        described = [_described(name, current_service().environ) for name in providers.names()]
        output.emit(described, map(_in_lines, described))


def _described(name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        kind = providers.load(name)
    except ImportError as error:
        return {"provider": name, "error": str(error), "knowsOwners": None, "options": []}
    described = [
        {
            "option": option.name,
            "variable": variable,
            "required": option.required,
            "secret": is_secret(option),
            "set": bool(environ.get(variable)),
            "help": describe(option),
        }
        for variable, option in _options(name, kind).items()
    ]
    knows = kind.knows_owners
    return {"provider": name, "error": None, "knowsOwners": knows, "options": described}


def _options(name: str, kind: type[Provider]) -> dict[str, FieldInfo]:
    """The provider's options by their environment variables."""
    return {providers.prefix(name) + field.name.upper(): field for field in fields(kind.Options)}


def _in_lines(provider: dict[str, Any]) -> str:
    broken = f" ({provider['error']})" if provider["error"] else ""
    owners = ["knows whose numbers are: rules with owner"] if provider["knowsOwners"] else []
    rows = [
        [
            option["option"],
            option["variable"],
            *(word if option[word] else "" for word in ("required", "set")),
            "; ".join(filter(None, ["secret" if option["secret"] else "", option["help"]])),
        ]
        for option in provider["options"]
    ]
    lines = tabulate(rows, tablefmt="plain").splitlines()
    return "\n  ".join([f"{provider['provider']}{broken}", *lines, *owners]) + "\n"


@group.command("try", epilog=example("providers try twilio"))
@click.argument("name")
@click.option(
    "--deadline",
    type=click.FloatRange(0.1, 120),
    default=60.0,
    show_default=True,
    help="Seconds for the whole answer.",
)
@output.as_json
def try_(name: str, deadline: float) -> None:
    """List the numbers of one account at the provider NAME, and say which are usable.

    Needs no directory. The account's options are read from its variables (`flask providers` names
    them), and asked for where they are required and not set. Exits with 1 if the account fails.
    """
    account = _account(name)
    began = time.monotonic()
    try:
        numbers = list_with_timeout(account, deadline)
    except ProviderError as error:
        if not output.wants_json():
            text, remedy = in_words(error)
            text = output.with_remedy(f"{name}: {error.outcome}: {text}", remedy)
            raise click.ClickException(text) from None
        text, wait_s = str(error), error.retry_after_s
        reason = {"outcome": error.outcome, "message": text, "retryAfter": wait_s}
        output.print_json({"provider": name, "error": reason, "numbers": []})
        raise click.exceptions.Exit(1) from None
    listed = [_judged(number, account.options.country) for number in numbers]
    output.emit({"provider": name, "error": None, "numbers": listed}, _table(listed))
    took_s, most_s = time.monotonic() - began, Settings().lookup_deadline
    with suppress(ConfigurationError):
        most_s = current_service().settings.lookup_deadline
    if took_s > most_s and not output.wants_json():
        click.echo(
            f"It took {took_s:.1f} s: longer than LOOKUP_DEADLINE ({most_s:g} s), so requests get"
            " its last whole listing, made in the background"
            " (docs/operating.md#when-a-carrier-fails)"
        )


def _judged(number: PhoneNumber, country: str | None) -> dict[str, Any]:
    judged = judge(number, country)
    owners = [str(owner) for owner in number.owners]
    return {**judged._asdict(), "owners": owners, "usable": judged.reason is None}


def _table(listed: list[dict[str, Any]]) -> Iterator[str]:
    rows = [
        [n["number"], n["extension"], n["name"], " ".join(n["owners"]), n["reason"] or "usable"]
        for n in listed
    ]
    if rows:
        headings = ["number", "extension", "name", "owners", "usable"]
        yield tabulate(rows, headings, disable_numparse=True)
    usable = sum(n["usable"] for n in listed)
    yield f"{output.count(len(listed), 'number')}, {usable} of them usable"


def _account(name: str) -> Provider:
    try:
        kind = providers.load(name)
    except LookupError as error:
        raise click.UsageError(str(error.args[0])) from None
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    options = _read_or_ask(name, kind)
    try:
        return kind(options, name)
    except Exception as error:  # a third party's package may fail in any way
        text = f"{name} does not accept these options: {type(error).__name__}"
        raise click.ClickException(text) from None


def _read_or_ask(name: str, kind: type[Provider]) -> Provider.Options:
    """The account's options out of the environment, and of answers for what is missing there."""
    environ, known = dict(current_service().environ), _options(name, kind)
    while True:
        problems = Problems()
        options = from_environ(kind.Options, environ, problems, providers.prefix(name))
        if options is not None:
            return options
        failure = click.UsageError("\n".join(problems.lines))
        places = {problem.place for problem in problems.lines}
        lacking = [each for each in known if each in places and not environ.get(each)]
        if not lacking:
            raise failure
        for variable in lacking:
            meaning = describe(known[variable])
            question = f"{variable} ({meaning})" if meaning else variable
            prompt = partial(click.prompt, hide_input=is_secret(known[variable]), err=True)
            environ[variable] = output.ask(prompt, failure, question)


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


PLACEHOLDER = (
    "**TODO: what follows is an invented carrier's. Write down your own's, and take this line away:"
    " `make check` refuses it.**"
)


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
        source: Path(folder or ROOT, (source if folder else place).replace("larkline", name))
        for source, (place, _) in FILES.items()
        if folder or place
    }
    if existing := [target for target in targets.values() if target.exists()]:
        raise click.UsageError(f"{_shown(existing[0])} exists already")
    for source, target in targets.items():
        text = (TEMPLATE / source).read_text("utf-8")
        if folder is None:
            text = text.partition("\n## Install\n")[0]
            text = text.replace('/ "larkline.json"', '/ "data" / "larkline" / "numbers.json"')
        for old, written in (
            ("examples/carrier-package", "FOLDER"),
            ("2026-11-22", datetime.now(UTC).date().isoformat()),
            ("larkline", name),
            ("LARKLINE", name.upper()),
            ("Larkline", kind),
        ):
            text = text.replace(old, written)
        if source == "README.md":
            title, _, rest = text.partition("\n")
            text = f"{title}\n\n{PLACEHOLDER}\n{rest}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as new_file:
                new_file.write(text)
        except OSError as error:
            raise click.ClickException(f"{_shown(target)}: {error.strerror}") from None
    steps = [f"{_shown(target)}: {FILES[source][1]}" for source, target in targets.items()]
    test = f".venv/bin/pip install -e {folder} && .venv/bin/python -m pytest {folder}"
    if folder is None:
        test = f".venv/bin/pytest {_shown(targets['test_larkline.py'])}"
        steps.append("docs/providers/README.md: a row in the table of providers")
        steps.append("CHANGELOG.md: a line")
    click.echo("Written. The tests pass as they are, for the invented carrier Larkline. Fill in:")
    click.echo("\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1)))
    click.echo(f"Check with:   {test}")
    click.echo(f"Then with:    .venv/bin/flask providers try {name}")


def _check_name(name: str, kind: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise click.UsageError(f"{name!r} is not a name: use a-z, 0-9 and single _, letter first")
    if len(name) > 30:
        raise click.UsageError(f"{name!r} is too long: 30 characters at most")
    if name in providers.names():
        raise click.UsageError(f"the provider {name!r} exists already")
    folder = Path(providers.__file__).parent
    taken = (folder / f"{name}.py").exists() or (folder / name).exists()
    if taken or re.search(rf"\b{kind}\b", (TEMPLATE / "larkline.py").read_text("utf-8")):
        raise click.UsageError(f"{name!r} is taken by something else in providers/")


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
