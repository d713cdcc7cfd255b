"""Typed values out of the environment or a TOML table, with every faulty field named at once.

A msgspec Struct is the table: its fields are the names, types, defaults and help texts. The
service's settings, a provider's options and the directory's tables are all read here.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches as nearest
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec
from msgspec import UNSET, Meta, ValidationError
from msgspec.structs import FieldInfo, fields

T = TypeVar("T", bound=msgspec.Struct)


class Secret(str):
    """Text that must not be shown: its repr is `***`. Formatting it (`f"{secret}"`) reveals it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def wholly(pattern: str, title: str) -> Meta:
    """Return what to annotate an option's `str` with that may only be as the pattern says, from its
    begin to its end; `title` says so in words: `letters and digits`."""
    return Meta(pattern=rf"^(?:{pattern})\Z", title=title)


_HOST = r"([^/\s?#@\[\]]+@)?(\[[0-9A-Fa-f:.]+\]|[^/\s?#@:\[\]]+)(:[0-9]{1,5})?"
_URL = rf"https?://{_HOST}(/[^\s?#]*)?"
URL = Annotated[str, wholly(_URL, "an http or https URL without a query")]
"""A base URL: http or https, with a host, without query."""


class Faults(ValueError):
    """Everything that is wrong with some input, a line each, each naming its place."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class Problem(str):
    """A line that says what is wrong, `place: text`. `remedy` is what to do, if that is special."""

    place = text = remedy = ""


@dataclass
class Problems:
    """Collects what is wrong with some input, each problem by its place.

    `problems.at("accounts").at("acme").add("not a table")` adds `accounts.acme: not a table` to
    `problems.lines`, which all that come from one another by `at` share. With `variables`, the
    names below are those of environment variables: `auth_token` is `TWILIO_AUTH_TOKEN`.
    """

    place: str = ""
    lines: list[Problem] = field(default_factory=list)
    variables: bool = False

    def at(self, path: str) -> "Problems":
        """Return the collector for a place below this one: `name`, `[0]` or `numbers[0].name`."""
        if self.variables:
            name = re.split(r"\W", path, maxsplit=1)[0]
            path = name.upper() + path.removeprefix(name)
        dot = "" if self.variables or not self.place or path.startswith("[") else "."
        return Problems(self.place + dot + path, self.lines)

    def add(self, text: str, remedy: str = "") -> None:
        """Add what is wrong at this place, and what to do about it if that is special."""
        problem = Problem(f"{self.place}: {text}" if self.place else text)
        problem.place, problem.text, problem.remedy = self.place, text, remedy
        self.lines.append(problem)


NOT_UTF8 = re.compile("[\ud800-\udfff]")
"""What Python puts in place of an environment variable's bytes that are no UTF-8: PEP 383."""

FAULTY: Any = object()
"""In place of a field's value that is not good, when `problems` has that already."""


def validate(
    struct: type[msgspec.Struct], values: Mapping[str, Any], problems: Problems
) -> dict[str, Any]:
    """Return the good ones among the `values` of a `struct`, and the defaults of those not given.

    Of each other field, `problems` gets the first thing that is wrong. Texts become numbers and
    booleans where a field wants those, since the environment has nothing but texts.
    """
    known, good = fields_of(struct), {}
    misspelt = [near for name in values.keys() - known.keys() for near in nearest(name, known, n=1)]
    values = {**dict.fromkeys(misspelt, FAULTY), **values}
    for name in sorted(known.keys() | values.keys()):
        if name not in known:
            problems.at(name).add(f"no such option{did_you_mean(name, known)}")
        elif name not in values:
            if known[name].required:
                problems.at(name).add(f"missing{_help(known[name])}")
            else:
                good[name] = default_of(known[name])
        elif (value := values[name]) is not FAULTY:
            kind = known[name].type
            try:
                _check_whole(value, kind)
                value = _in_any_case(value, _choices(kind))
                good[name] = msgspec.convert(value, kind, strict=False, dec_hook=_to_secret)
            except ValidationError as error:
                path, text = _in_words(str(error), kind)
                problems.at(name + path).add(text + _help(known[name]))
    return good


def build(struct: type[T], values: Mapping[str, Any], problems: Problems) -> T | None:
    """Return the `struct` with these values, see `validate`; None if any of them is not good.

    Once all fields are good, the struct's own `__post_init__` is asked. It raises
    ValueError("field: what is wrong"), or Faults with several of these.
    """
    before = len(problems.lines)
    good = validate(struct, values, problems)
    if len(good) < len(fields_of(struct)):
        return None
    try:
        built = struct(**good)
    except ValueError as error:
        for fault in error.faults if isinstance(error, Faults) else (str(error),):
            name, _, text = fault.partition(": ")
            problems.at(name).add(text)
    return built if len(problems.lines) == before else None


def in_environ(
    struct: type[msgspec.Struct], environ: Mapping[str, str], problems: Problems, prefix: str = ""
) -> tuple[dict[str, Any], Problems]:
    """Return values and problems for `validate`, of variables that are `prefix` and field name.

    Both are in upper case. An empty variable counts as unset. Lists are comma-separated, or JSON;
    those of tables are JSON.
    """
    values: dict[str, Any] = {}
    variables = Problems(prefix.upper(), problems.lines, variables=True)
    for name, info in fields_of(struct).items():
        text = read_variable(environ, (prefix + name).upper())
        if NOT_UTF8.search(text):
            values[name] = FAULTY
            variables.at(name).add("not UTF-8")
        elif text:
            values[name] = _split(text, info.type, variables.at(name))
    return values, variables


def read_variable(environ: Mapping[str, str], name: str) -> str:
    """Return a variable's value without the blanks and line ends around it; empty if unset."""
    return environ.get(name, "").strip()


def from_environ(
    struct: type[T], environ: Mapping[str, str], problems: Problems, prefix: str = ""
) -> T | None:
    """Return the `struct` out of the environment; None if any value is not good."""
    return build(struct, *in_environ(struct, environ, problems, prefix))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` if one of `known` is close to `name`, else nothing."""
    return "".join(f" (did you mean {near!r}?)" for near in nearest(name, list(known), n=1))


def is_secret(info: FieldInfo) -> bool:
    """Return whether the field holds a secret, alone, optional or in a list."""
    return Secret in _parts(info.type)


def describe(info: FieldInfo) -> str:
    """Return the field's help text, from its `msgspec.Meta(description=…)`."""
    return _meta(info.type, "description")


def default_of(info: FieldInfo) -> Any:
    """Return the field's default, or `msgspec.UNSET` if it has none."""
    if info.default_factory is not msgspec.NODEFAULT:
        return info.default_factory()
    return UNSET if info.default is msgspec.NODEFAULT else info.default


# A large directory reads tens of thousands of tables by the same few structs and types, and what
# `typing` says about these takes longer than all the rest.
@cache
def fields_of(struct: type[msgspec.Struct]) -> Mapping[str, FieldInfo]:
    """Return a struct's fields by name."""
    return {info.name: info for info in fields(struct)}


@cache
def _parts(kind: Any) -> list[Any]:
    """The type and all that it is made of: other types, annotations, a Literal's choices."""
    return [kind, *(part for inner in get_args(kind) for part in _parts(inner))]


@cache
def _choices(kind: Any) -> list[str | int]:
    return [part for part in _parts(kind) if isinstance(part, str | int)]


@cache
def _table(kind: Any) -> type[msgspec.Struct] | None:
    """The struct that a field holds, alone or in a list."""
    types = [part for part in _parts(kind) if isinstance(part, type)]
    return next((part for part in types if issubclass(part, msgspec.Struct)), None)


@cache
def _meta(kind: Any, attribute: str) -> str:
    """The first text of that name in a type's annotations, the outer ones first."""
    metas = [part for part in reversed(_parts(kind)) if isinstance(part, Meta)]
    return next((text for meta in metas if (text := getattr(meta, attribute))), "")


def _help(info: FieldInfo) -> str:
    text = describe(info)
    return f" ({text})" if text else ""


def _split(text: str, kind: Any, problems: Problems) -> Any:
    """The text, or the list in it where the field holds one."""
    if not any(get_origin(part) in (tuple, list) for part in _parts(kind)):
        return text
    try:
        if _table(kind) or text.startswith("["):
            return json.loads(text)
    except (ValueError, RecursionError) as error:  # whose texts show nothing of what was read
        if _table(kind):
            problems.add(f"not JSON: {error}")
            return FAULTY
    return [part for part in map(str.strip, text.split(",")) if part]


def _check_whole(value: Any, kind: Any) -> None:
    """Refuse `62515.0` for a whole number, which msgspec takes."""
    parts = _parts(kind)
    if int not in parts or float in parts or bool in parts:
        return
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        if isinstance(item, float) or (isinstance(item, str) and re.fullmatch(r"\d+\.\d*", item)):
            place = f" - at `$[{index}]`" if isinstance(value, list) else ""
            raise ValidationError(f"Expected `int`, got `float`{place}")


def _in_any_case(value: Any, choices: list[str | int]) -> Any:
    """The choice that a text, or each text in a list, is but for capitals."""
    if choices and isinstance(value, list):
        return [_in_any_case(item, choices) for item in value]
    by_text = {str(choice).casefold(): choice for choice in choices}
    return by_text.get(value.casefold(), value) if isinstance(value, str) else value


def _to_secret(kind: type, value: object) -> object:
    if issubclass(kind, Secret) and isinstance(value, str):
        return kind(value)
    raise TypeError(f"Expected `str`, got `{type(value).__name__}`")  # msgspec adds the place


_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


def _in_words(message: str, kind: Any) -> tuple[str, str]:
    """Where below its field, and in an operator's words, msgspec finds something wrong.

    Its own words are such as "Expected `int | null`, got `str` - at `$[1]`".
    """
    what, _, path = message.partition(" - at `$")
    path = path.rstrip("`")
    if (table := _table(kind)) and (match := re.match(r"Object (\w+) .*field `(.*)`", what)):
        lacks, name = match[1] == "missing", match[2]
        text = "missing" if lacks else f"no such option{did_you_mean(name, fields_of(table))}"
        return f"{path}.{name}", text
    if (choices := _choices(kind)) and "`array" not in what:
        return path, f"expected one of {', '.join(map(str, choices))}"
    if form := _meta(kind, "title"):
        what = re.sub(r"`str[^`]*` matching regex '.*'$", form, what)
    what = re.sub(r"`(\w+)( \| null)?`", lambda word: _WORDS.get(word[1], word[0]), what)
    return path, what[:1].lower() + what[1:]
