"""The operations of the management API as they are written down: a function each, with what its
description says of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from flask import Response

Schema = Mapping[str, Any]
View = Callable[..., Response]


class Operation(NamedTuple):
    """One operation. `path` is written as OpenAPI has it; of `answers`, each has a schema, or none
    if it has no body. `fails` are statuses of failures that others of its kind do not have. One
    that is `live` asks a carrier or HubSpot."""

    method: str
    path: str
    view: View
    answers: Mapping[int, Schema | None]
    query: Mapping[str, Schema]
    body: Schema | None
    fails: Sequence[int]
    live: bool

    @property
    def summary(self) -> str:
        """Return what it does, in a line."""
        return (self.view.__doc__ or "").partition("\n")[0]


OPERATIONS: list[Operation] = []


def operation(
    method: str,
    path: str,
    answers: Mapping[int, Schema | None],
    *,
    query: Mapping[str, Schema] | None = None,
    body: Schema | None = None,
    fails: Sequence[int] = (),
    live: bool = False,
) -> Callable[[View], View]:
    """Return what makes a function an operation: it takes a Call and the path's parts."""

    def add(view: View) -> View:
        OPERATIONS.append(Operation(method, path, view, answers, query or {}, body, fails, live))
        return view

    return add


def schema(name: str) -> Schema:
    """Return a reference to a schema of the description."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(item: str, **key: Schema) -> Schema:
    """Return the schema of a part of a list, whose results have a key, an ETag and the item."""
    properties = {**key, "etag": {"type": "string"}, item.lower(): schema(item)}
    result = {"type": "object", "required": [*properties], "properties": properties}
    return results(result, schema("Paging"))


def results(result: Schema, paging: Schema | None = None) -> Schema:
    """Return the schema of a list's answer."""
    properties: dict[str, Schema] = {"results": {"type": "array", "items": result}}
    more = {"paging": paging} if paging else {}
    return {"type": "object", "required": ["results"], "properties": {**properties, **more}}
