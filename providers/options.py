"""Typed values out of the environment or a TOML table, with every fault named at once.

A msgspec Struct is the table: its fields are the names, types, defaults and help texts. The
service's settings, a provider's options and the directory's tables are all read by `build`.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
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


URL = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^/\s?#]+[^\s?#]*$",
        title="an http or https URL without a query",
    ),
]
"""A base URL: http or https, with a host, without query."""


class Faults(ValueError):
    """Everything that is wrong with some input, a line each, each naming its place."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


def build(
    struct: type[T],
    values: Mapping[str, Any],
    place: Callable[[str], str],
    faults: list[str],
) -> T | None:
    """Make a `struct` from `values`, or add what is wrong to `faults` and return None.

    `place` turns a field's name into what the reader knows it by (`auth_token` into
    `TWILIO_AUTH_TOKEN` or `accounts.acme.auth_token`). Texts are converted to numbers and
    booleans where a field wants those, since the environment has nothing but texts. A struct's own
    `__post_init__` raises ValueError("field: what is wrong").
    """
    known = {field.name: field for field in fields(struct)}
    found: list[str] = []
    for name in values.keys() - known.keys():
        found.append(f"{place(name)}: no such option{did_you_mean(name, known)}")
    built = {}
    for name, field in known.items():
        if name in values:
            try:
                built[name] = msgspec.convert(
                    values[name], field.type, strict=False, dec_hook=_to_secret
                )
            except ValidationError as error:
                found.append(_located(place(name), error, field) + _help(field))
        elif field.required:
            found.append(f"{place(name)}: missing{_help(field)}")
    if not found:
        try:
            return struct(**built)
        except ValueError as error:  # raised by the struct's own __post_init__
            at, _, what = str(error).partition(": ")
            found.append(f"{place(at)}: {what}")
    faults += sorted(found)
    return None


def from_environ(
    struct: type[T], environ: Mapping[str, str], faults: list[str], prefix: str = ""
) -> T | None:
    """Make a `struct` from the environment variables that are its field names in upper case.

    An empty variable counts as unset. Lists are comma-separated, or JSON if they hold tables.
    """
    values: dict[str, Any] = {}
    for field in fields(struct):
        text = environ.get(prefix + field.name.upper(), "").strip()
        if text:
            values[field.name] = _split(text) if _is_list(field.type) else text
    return build(struct, values, lambda name: (prefix + name).upper(), faults)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` if one of `known` is close to `name`, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def is_secret(field: FieldInfo) -> bool:
    """Whether the field holds a secret, alone, optional or in a list."""
    return Secret in _leaves(field.type)


def _leaves(kind: Any) -> set[Any]:
    inner = get_args(kind)
    return set().union(*map(_leaves, inner)) if inner else {kind}


def _is_list(kind: Any) -> bool:
    """Whether it is a list or tuple, however optional or annotated."""
    return get_origin(kind) in (tuple, list) or any(map(_is_list, get_args(kind)))


def _split(text: str) -> list[Any]:
    if text.startswith("["):
        try:
            listed = msgspec.json.decode(text)
        except msgspec.DecodeError:
            listed = None
        if isinstance(listed, list):
            return listed
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


def _located(place: str, error: ValidationError, field: FieldInfo) -> str:
    """The fault in an operator's words: msgspec's are `Expected `int | null`, got `str``."""
    what, _, path = str(error).partition(" - at `$")
    if form := _meta(field.type, "title"):
        what = re.sub(r"`str[^`]*` matching regex '.*'$", form, what)
    what = re.sub(r"`(\w+)( \| null)?`", lambda found: _WORDS.get(found[1], found[0]), what)
    return f"{place}{path.rstrip('`')}: {what[:1].lower()}{what[1:]}"


def _help(field: FieldInfo) -> str:
    text = describe(field)
    return f" ({text})" if text else ""


def describe(field: FieldInfo) -> str:
    """The field's help text, from its `msgspec.Meta(description=…)`."""
    return _meta(field.type, "description")


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
