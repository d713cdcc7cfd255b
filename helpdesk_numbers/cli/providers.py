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
from helpdesk_numbers.service import current_service
from providers import PhoneNumber, Provider, ProviderError
from providers.base.numbers import to_e164
from providers.base.options import describe, from_environ, is_secret

from .asking import ask
from .output import Group, as_json, count, print_json, remedy_for, try_again

ROOT = Path(providers.__file__).parent.parent
TEMPLATE = ROOT / "examples" / "carrier-package"


@click.group("providers", cls=Group, invoke_without_command=True)
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


@group.command("try")
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
    """List one account's numbers at the provider NAME and which are usable; needs no directory.

    Options are read from its variables (`flask providers` names them); those that are needed and
    not set are asked for.
    """
    account = _account(name)
    try:
        found = ask(account, deadline)
    except ProviderError as error:
        _fail(name, error, as_json)
    listed = _judged(found, account.options.country)
    if as_json:
        print_json({"provider": name, "error": None, "numbers": listed})
        return
    rows = [
        [*(one[key] for key in ("number", "extension", "name")), " ".join(one["owners"]),
         one["reason"] or "usable"]
        for one in listed
    ]  # fmt: skip
    if rows:
        headers = ["number", "extension", "name", "owners", "usable"]
        click.echo(tabulate(rows, headers, disable_numparse=True))
    usable = sum(one["usable"] for one in listed)
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
        faults: list[str] = []
        options = from_environ(kind.Options, environ, faults, providers.prefix(name))
        if options is not None:
            return options
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
    try:
        answer: str = click.prompt(
            _variable(name, option) + (f" ({meaning})" if meaning else ""),
            hide_input=is_secret(option),
            err=True,
        )
    except click.Abort as abort:
        if isinstance(abort.__context__, EOFError):  # nobody is there to answer
            click.echo(err=True)  # ends the question's line
            raise click.UsageError("\n".join(faults)) from None
        raise
    return answer


def _judged(found: list[PhoneNumber], country: str | None) -> list[dict[str, Any]]:
    """Each number as the help desk would have it, and what is against it."""
    judged = []
    for number in found:
        text = str(number.number or "")
        read = to_e164(text, country)
        reason = "cannot take calls" if not number.voice else None
        judged.append(
            {
                "number": read.number if read else text,
                "extension": number.extension or (read.extension if read else None),
                "name": str(number.name or ""),
                "owners": [str(owner) for owner in number.owners],
                "usable": bool(read and not reason),
                "reason": reason if read else "not a phone number",
            }
        )
    return judged


def _fail(name: str, error: ProviderError, as_json: bool) -> NoReturn:
    if as_json:
        said = {"outcome": error.outcome, "message": str(error), "retryAfter": error.retry_after_s}
        print_json({"provider": name, "error": said, "numbers": []})
        raise click.exceptions.Exit(1)
    wait, remedy = try_again(error), remedy_for(error)
    raise click.ClickException(f"{name}: {error.outcome}: {error}{wait}\n  → {remedy}")


@group.command("new")
@click.argument("name")
@click.option(
    "--package",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Make a package of its own in this folder, instead of a built-in.",
)
def new(name: str, folder: Path | None) -> None:
    """Write the files of a new provider NAME, whose tests already pass, to be filled in.

    NAME is in lower case. It becomes the module, the variables' prefix, the test and the page.
    """
    if not TEMPLATE.is_dir():
        raise click.ClickException("no examples/carrier-package here: this needs a checkout")
    kind = "".join(part.capitalize() for part in name.split("_"))
    _check_name(name, kind)
    if folder is not None and find_spec(name):
        raise click.UsageError(f"{name!r} is a module of another package already")
    files = _files(name, folder)
    for target in files.values():
        if target.exists():
            raise click.UsageError(f"{_shown(target)} exists already")
    for source, target in files.items():
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
    _say_what_to_do(name, files, folder)


def _check_name(name: str, kind: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise click.UsageError(f"{name!r} is no name: a-z, 0-9 and single _, from a letter on")
    if len(name) > 30:
        raise click.UsageError(f"{name!r} is too long: 30 characters at most")
    if name in providers.names():
        raise click.UsageError(f"the provider {name!r} exists already")
    folder = Path(providers.__file__).parent
    taken = (folder / f"{name}.py").exists() or (folder / name).exists()
    if taken or re.search(rf"\b{kind}\b", (TEMPLATE / "larkline.py").read_text("utf-8")):
        raise click.UsageError(f"{name!r} means something else in providers/")


def _files(name: str, folder: Path | None) -> dict[str, Path]:
    if folder is not None:
        own = ("larkline.json", "larkline.py", "test_larkline.py", "README.md", "pyproject.toml")
        return {source: folder / source.replace("larkline", name) for source in own}
    return {
        "larkline.json": ROOT / "tests" / "data" / name / "numbers.json",
        "larkline.py": ROOT / "providers" / f"{name}.py",
        "test_larkline.py": ROOT / "tests" / f"test_providers_{name}.py",
        "README.md": ROOT / "docs" / "providers" / f"{name}.md",
    }


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def _say_what_to_do(name: str, files: Mapping[str, Path], folder: Path | None) -> None:
    data, adapter, test, page = (_shown(path) for path in list(files.values())[:4])
    steps = [
        f"{data}: a reply from the carrier's documentation, its source, numbers made fictional",
        f"{adapter}: source, base_url, options, authorisation, first request, next page, fields",
        f"{test}: the same facts in the carrier's words, and what only this carrier does",
        f"{page}: where to get credentials, options, what is usable, limits",
    ]
    click.echo("Written. The tests pass for the invented carrier Larkline. To fill in:")
    for number, step in enumerate(steps, 1):
        click.echo(f"{number}. {step}")
    if folder is None:
        click.echo("5. docs/providers/README.md: a row; CHANGELOG.md: a line")
        check = f".venv/bin/pytest {test}"
    else:
        click.echo(f"5. {folder}/pyproject.toml: its description")
        check = f".venv/bin/pip install -e {folder} && .venv/bin/python -m pytest {folder}"
    click.echo(f"Check with:   {check}")
    click.echo(f"Then with:    .venv/bin/flask providers try {name}")
