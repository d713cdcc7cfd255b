"""The directory out of a TOML text, with every fault by its place.

docs/directory.md describes the format.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from providers import load, prefix
from providers.base import options
from providers.base.options import (
    FAULTY,
    NOT_UTF8,
    Faults,
    Problems,
    did_you_mean,
    read_variable,
)
from providers.base.provider import Provider

from .model import Directory
from .portals import Tables, read_portals, tables_in
from .text import looks_like, read_tables


def read_account(environ: Mapping[str, str], provider: str, problems: Problems) -> Provider | None:
    """Return the one account, named like its provider, or None if there are problems.

    Its options are the variables `<PROVIDER>_<OPTION>`.
    """
    kind = _load(provider)
    if isinstance(kind, str):
        problems.at("PROVIDER").add(kind)
        return None
    values = options.from_environ(kind.Options, environ, problems, prefix(provider))
    return _make(kind, values, provider, problems.at("PROVIDER"))


def parse(
    text: str,
    environ: Mapping[str, str],
    before: Directory | None = None,
    name: str = "the directory",
) -> Directory:
    """Return the directory that a TOML text describes. Accounts that `before` has alike are kept.

    Raises:
        Faults: all that is wrong with it, each with its place and without its value. `name` is the
            text's own place.
    """
    problems = Problems()
    tables = read(text, name, problems)
    directory = build(tables, environ, before, problems) if tables is not None else None
    if directory is None or problems.lines:
        raise Faults(problems.lines)
    return directory


def read(text: str, name: str, problems: Problems) -> dict[str, Any] | None:
    """Return the tables of a TOML text, None if it is not TOML. `name` is the text's own place."""
    try:
        return read_tables(text)
    except (ValueError, RecursionError) as error:  # its own, or of an endless number or nesting
        remedy = "correct it; https://toml.io describes TOML"
        problems.add(f"{name} is not TOML: {error}{looks_like(text)}", remedy)
        return None


def build(
    tables: Mapping[str, Any],
    environ: Mapping[str, str] | None,
    before: Directory | None,
    problems: Problems,
) -> Directory:
    """Return the directory of these tables, as far as it is good: `problems` gets the rest.

    `environ` is for `resolve`.
    """
    for key in sorted(tables.keys() - {"accounts", "portals"}):
        problems.at(key).add("no such table" + did_you_mean(key, ("accounts", "portals")))
    at = problems.at("accounts")
    listed = resolve(tables_in(tables.get("accounts", {}), at), environ, at)
    accounts = dict(_accounts(listed, before.accounts if before else {}, at))
    at = problems.at("portals")
    portals = resolve(tables_in(tables.get("portals", {}), at), environ, at)
    directory = Directory(accounts, dict(read_portals(portals, listed, at)))
    if not tables.get("portals"):  # a file caught while it is being written, above all
        at.add("there are none, so nobody would see a number")
    return directory


def resolve(value: Any, environ: Mapping[str, str] | None, problems: Problems) -> Any:
    """Return the value with every `env:NAME` in it replaced; FAULTY if one is not set, tables
    aside. Without `environ`, none may be there: else who may write a table could read the
    variables."""
    before = len(problems.lines)
    if isinstance(value, dict):
        return {key: resolve(inner, environ, problems.at(key)) for key, inner in value.items()}
    if isinstance(value, list):
        items = enumerate(value)
        value = [resolve(item, environ, problems.at(f"[{index}]")) for index, item in items]
    elif isinstance(value, str) and value.startswith("env:"):
        name = value.removeprefix("env:").strip()
        if environ is None:
            problems.add("a variable's value is taken by files and commands alone: give the value")
            return FAULTY
        value = read_variable(environ, name)
        if not value:
            remedy = "set it, or correct the name after env:"
            problems.add(f"the environment variable {name} is not set", remedy)
        elif NOT_UTF8.search(value):
            problems.add(f"the environment variable {name} is not UTF-8")
    return value if len(problems.lines) == before else FAULTY


def _accounts(
    tables: Tables, before: Mapping[str, Provider], problems: Problems
) -> Iterator[tuple[str, Provider]]:
    load_once = cache(_load)  # else the packages installed are gone through for each account
    for name, table in tables.items():
        at = problems.at(name)
        provider = table.get("provider")
        if not isinstance(provider, str):
            if provider is not FAULTY:
                at.at("provider").add("missing")
        elif isinstance(kind := load_once(provider), str):
            at.at("provider").add(kind)
        else:
            values = {key: value for key, value in table.items() if key != "provider"}
            built = options.build(kind.Options, values, at)
            old = before.get(name)
            same = old is not None and type(old) is kind and old.options == built
            if account := old if same else _make(kind, built, name, at):
                yield name, account


def _load(provider: str) -> type[Provider] | str:
    """The provider's class, or what is wrong with it."""
    try:
        return load(provider)
    except (LookupError, ImportError) as error:
        return str(error.args[0])


def _make(
    kind: type[Provider], values: Provider.Options | None, name: str, problems: Problems
) -> Provider | None:
    try:
        return kind(values, name) if values is not None else None
    except Exception as error:  # a third party's, of whatever kind; its text may hold anything
        problems.add(f"{kind.name} does not accept these options: {type(error).__name__}")
        return None
