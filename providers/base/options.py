"""Typed values out of the environment or a TOML table, with every fault named at once.

A msgspec Struct is the table: its fields are the names, types, defaults and help texts. The
service's settings, a provider's options and the directory's tables are all read by `build`.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, Meta, ValidationError
from msgspec.structs import FieldInfo, fields

T = TypeVar("T", bound=msgspec.Struct)


class Secret(str):
    """Text that must not be shown: its repr is `***`. Formatting it (`f"{secret}"`) reveals it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


URL = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^/\s?#]+[^\s?#]*\Z",
        title="an http or https URL without a query",
    ),
]
"""A base URL: http or https, with a host, without query."""


class Faults(ValueError):
    """Everything that is wrong with some input, a line each, each naming its place."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


NOT_JSON = (ValueError, RecursionError)
"""What `json.loads` raises; none of their texts shows what was read."""

FAULTY: Any = object()
"""In place of a value that was given but is not good; what is wrong with it is listed already."""


def sift(
    struct: type[msgspec.Struct],
    values: Mapping[str, Any],
    place: Callable[[str], str],
    faults: list[str],
) -> dict[str, Any]:
    """The good ones among the `values` of a `struct`, and its defaults; the rest is in `faults`.

    `place` turns a field's name into what the reader knows it by (`auth_token` into
    `TWILIO_AUTH_TOKEN` or `accounts.acme.auth_token`). Texts are converted to numbers and
    booleans where a field wants those, since the environment has nothing but texts. A struct's own
    `__post_init__` raises ValueError("field: what is wrong"), or Faults with several of these.
    """
    known = _fields(struct)
    given, found = dict(values), []
    for name in values.keys() - known.keys():
        found.append(f"{place(name)}: no such option{did_you_mean(name, known)}")
        for meant in _near(name, known):
            given.setdefault(meant, FAULTY)
    for name, field in known.items():
        if name in given:
            given[name] = _value(field.type, given[name], place(name), _help(field), found)
        else:
            given[name] = _default(field)
            if field.required:
                found.append(f"{place(name)}: missing{_help(field)}")
    given = {name: given[name] for name in known}
    found += _objections(struct, given, place)
    faults += sorted(found)
    return {name: value for name, value in given.items() if value is not FAULTY}


def _objections(
    struct: type[msgspec.Struct], values: Mapping[str, Any], place: Callable[[str], str]
) -> Iterator[str]:
    """What the struct's own `__post_init__` has against values that nothing is known against.

    It stops at its first objection, so the field that this names gets its default, and another try.
    """
    if not hasattr(struct, "__post_init__"):
        return
    known = _fields(struct)
    faulty = {name for name, value in values.items() if value is FAULTY}
    for _ in known:
        try:
            struct(**values)
        except ValueError as error:
            said = getattr(error, "faults", (str(error),))
            named = [re.split(r"\W", fault, maxsplit=1)[0] for fault in said]
            for name, fault in zip(named, said, strict=True):
                if name not in faulty:
                    yield place(name) + fault.removeprefix(name)
            faulty |= set(named)
            values = {**values, **{name: _default(known[name]) for name in known if name in named}}
        except Exception:  # it met FAULTY
            if not faulty:
                raise
            return
        else:
            return


def _value(kind: Any, value: Any, place: str, said: str, found: list[str]) -> Any:
    """`value` as `kind`, or FAULTY and everything that is wrong with it, not just the first."""
    if value is FAULTY:
        return FAULTY
    kinds = _kinds(kind)
    choices = [choice for one in kinds if get_origin(one) is Literal for choice in get_args(one)]
    if isinstance(value, list) and (item := _item(kind)):
        value = [
            _value(item, one, f"{place}[{index}]", said, found) for index, one in enumerate(value)
        ]
        if FAULTY in value:
            return FAULTY
    elif isinstance(value, dict) and (tables := [one for one in kinds if _is_struct(one)]):
        built = build(tables[0], value, lambda name: f"{place}.{name}", found)
        return FAULTY if built is None else built
    elif isinstance(value, str):
        value = next((one for one in choices if str(one).casefold() == value.casefold()), value)
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=_to_secret)
    except ValidationError as error:
        allowed = f"{place}: expected one of {', '.join(map(str, choices))}" if choices else ""
        found.append((allowed or _located(place, error, kind)) + said)
        return FAULTY


def build(
    struct: type[T],
    values: Mapping[str, Any],
    place: Callable[[str], str],
    faults: list[str],
) -> T | None:
    """The `struct` with these values, see `sift`; None if any of them is not good."""
    count = len(faults)
    good = sift(struct, values, place, faults)
    whole = len(good) == len(_fields(struct)) and len(faults) == count
    return struct(**good) if whole else None


def in_environ(
    struct: type[msgspec.Struct], environ: Mapping[str, str], faults: list[str], prefix: str = ""
) -> tuple[dict[str, Any], Callable[[str], str]]:
    """`values` and `place` for `sift`: the variables that are a struct's field names in upper case.

    An empty variable counts as unset. Lists are comma-separated, or JSON; those of tables are JSON.
    """
    values: dict[str, Any] = {}
    for field in _fields(struct).values():
        variable = (prefix + field.name).upper()
        if text := environ.get(variable, "").strip():
            item = _item(field.type)
            try:
                values[field.name] = text if item is None else _split(text, item)
            except NOT_JSON as error:
                faults.append(f"{variable}: not JSON: {error}")
                values[field.name] = FAULTY
    return values, lambda name: (prefix + name).upper()


def from_environ(
    struct: type[T], environ: Mapping[str, str], faults: list[str], prefix: str = ""
) -> T | None:
    """The `struct` out of the environment; None if any value is not good."""
    return build(struct, *in_environ(struct, environ, faults, prefix), faults)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` if one of `known` is close to `name`, else nothing."""
    return "".join(f" (did you mean {close!r}?)" for close in _near(name, known))


def _near(name: str, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(name, list(known), n=1)


def is_secret(field: FieldInfo) -> bool:
    """Whether the field holds a secret, alone, optional or in a list."""
    return Secret in _leaves(field.type)


def _leaves(kind: Any) -> set[Any]:
    inner = get_args(kind)
    return set().union(*map(_leaves, inner)) if inner else {kind}


# A large directory reads tens of thousands of tables by the same few structs and types, and what
# `typing` says about these takes longer than all the rest.
@cache
def _fields(struct: type[msgspec.Struct]) -> Mapping[str, FieldInfo]:
    return {field.name: field for field in fields(struct)}


@cache
def _kinds(kind: Any) -> list[Any]:
    """What an optional or annotated type may be."""
    if get_origin(kind) in (Union, UnionType, Annotated):
        return [one for inner in get_args(kind) for one in _kinds(inner)]
    return [kind]


@cache
def _item(kind: Any) -> Any:
    """What it holds if it is a list or tuple, else None."""
    lists = [one for one in _kinds(kind) if get_origin(one) in (tuple, list)]
    return get_args(lists[0])[0] if lists else None


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _split(text: str, item: Any) -> Any:
    of_tables = any(map(_is_struct, _kinds(item)))
    if of_tables or text.startswith("["):
        try:
            return json.loads(text)
        except NOT_JSON:
            if of_tables:
                raise
    return [part for part in map(str.strip, text.split(",")) if part]


def _to_secret(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"Expected `str`, got `{type(value).__name__}`")  # msgspec adds the place


_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


def _located(place: str, error: ValidationError, kind: Any) -> str:
    """The fault in an operator's words: msgspec's are `Expected `int | null`, got `str``."""
    what, _, path = str(error).partition(" - at `$")
    if form := _meta(kind, "title"):
        what = re.sub(r"`str[^`]*` matching regex '.*'$", form, what)
    what = re.sub(r"`(\w+)( \| null)?`", lambda found: _WORDS.get(found[1], found[0]), what)
    return f"{place}{path.rstrip('`')}: {what[:1].lower()}{what[1:]}"


def _help(field: FieldInfo) -> str:
    text = describe(field)
    return f" ({text})" if text else ""


def describe(field: FieldInfo) -> str:
    """The field's help text, from its `msgspec.Meta(description=…)`."""
    return _meta(field.type, "description")


@cache
def _meta(kind: Any, attribute: str) -> str:
    """The first text of that name in a type's annotations, the outer ones first."""
    found = [getattr(meta, attribute, None) for meta in reversed(getattr(kind, "__metadata__", ()))]
    found += [_meta(inner, attribute) for inner in get_args(kind)]
    return next((text for text in found if text), "")


def default_of(field: FieldInfo) -> Any:
    """The field's default, or `msgspec.UNSET` if it has none."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return UNSET if field.default is msgspec.NODEFAULT else field.default


def _default(field: FieldInfo) -> Any:
    return FAULTY if field.required else default_of(field)
