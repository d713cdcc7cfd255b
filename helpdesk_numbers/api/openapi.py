"""The management API's description: OpenAPI 3.1, written from the code.

https://spec.openapis.org/oas/v3.1.1.html
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

import providers
from helpdesk_numbers.directory.model import Rule
from hubspot.schema import MAX_ID
from providers.base.options import Secret, describe, fields_of, is_secret

from .call import LISTED, MOST_LISTED
from .operations import Operation, Schema, schema

TEXT: Schema = {"type": "string"}
FAILURES = {
    400: "The request cannot be read: the message says what is wrong.",
    401: "No Authorization: Bearer with one of ADMIN_TOKENS.",
    404: "It is not in the database.",
    409: "Portals use the account, or the portal has no token.",
    412: "If-Match or If-None-Match is not met.",
    413: "The body is too large.",
    414: "The URL is too long.",
    415: "The body is not application/json.",
    422: "It is not valid: of a body, `errors` has every fault with its place.",
    429: "Too many requests: Retry-After says when to try again.",
    502: "HubSpot refused the portal's token.",
    503: "The database, or HubSpot, cannot be reached now: Retry-After says when to try again.",
}
TAGGED = [schema(name) for name in ("Account", "Portal", "Rule")]
ETAG: Schema = {"ETag": {"description": "the number of the last change", "schema": TEXT}}


def document(operations: Iterable[Operation], prefix: str) -> dict[str, Any]:
    """Return the description of these operations."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "helpdesk-numbers",
            "version": "1",
            "description": "Accounts, portals and rules of a directory in a database.",
        },
        "servers": [{"url": prefix}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas(),
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    changes = operation.method in ("PUT", "DELETE")
    tagged = any(shown in TAGGED for shown in operation.answers.values())
    named = re.findall(r"{(\w+)}", operation.path)
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _part(name)} for name in named
    ]
    parameters += [
        {"name": name, "in": "query", "schema": kind} for name, kind in operation.query.items()
    ]
    conditions = ("If-Match", "If-None-Match") if changes else ("If-None-Match",) if tagged else ()
    parameters += [{"name": name, "in": "header", "schema": TEXT} for name in conditions]
    failures = {400, 401, 414, 429, 503} | ({404} if named else set())
    failures |= {412} if changes else set()
    failures |= {413, 415, 422} if operation.body else set()
    failures |= {*operation.fails}
    answers: dict[str, Any] = {
        str(status): {
            "description": "Done." if kind is None else operation.summary,
            **({"content": {"application/json": {"schema": kind}}} if kind else {}),
            **({"headers": ETAG} if kind and tagged else {}),
        }
        for status, kind in operation.answers.items()
    }
    if tagged and not changes:
        answers["304"] = {"description": "It is as If-None-Match says.", "headers": ETAG}
    problem = {"application/json": {"schema": schema("Error")}}
    answers |= {
        str(status): {"description": FAILURES[status], "content": problem}
        for status in sorted(failures)
    }
    described: dict[str, Any] = {
        "operationId": operation.view.__name__,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": answers,
    }
    if operation.body:
        content = {"application/json": {"schema": operation.body}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _part(name: str) -> Schema:
    """The schema of a part of a path."""
    if name == "portalId":
        return {"type": "integer", "minimum": 1, "maximum": MAX_ID - 1}
    return {"type": "string", "minLength": 1, "maxLength": 100}


def schemas() -> dict[str, Any]:
    """Return all schemas by name: a directory file's tables, and what else is answered."""
    rule = _of_struct(Rule)
    users = {"enum": ["all", "none", "own"]}
    rules = {"type": "object", "additionalProperties": schema("Rule")}
    portal = {
        "type": "object",
        "required": ["accounts"],
        "additionalProperties": False,
        "properties": {
            "accounts": {"type": "array", "items": TEXT},
            "users": {"anyOf": [users, schema("Rule")]},
            "token": {**TEXT, "description": "a private app's token; *** where one is stored"},
            "user": {**rules, "description": "rules by user id or e-mail address"},
            "team": {**rules, "description": "rules by the name or id of a HubSpot team"},
        },
    }
    kinds, broken = [], []
    for name in providers.names():
        try:
            kinds.append(_account(name))
        except Exception:  # whatever a stranger's adapter does
            broken.append(name)
    left_out = f"Not described, for its adapter is broken: {', '.join(broken)}." if broken else ""
    whole, texts = {"type": "integer"}, {"type": "array", "items": TEXT}
    return {
        "Account": {"oneOf": kinds, **({"description": left_out} if left_out else {})},
        "Portal": portal,
        "Rule": rule,
        "Limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_LISTED,
            "default": LISTED,
        },
        "Paging": _object(next=_object(after=TEXT)),
        "AccountTest": {
            "type": "object",
            "required": ["outcome"],
            "properties": dict.fromkeys(("outcome", "reason", "remedy"), TEXT)
            | dict.fromkeys(("numbers", "usable"), whole),
        },
        "Preview": _object(
            portalId=whole,
            userId=whole,
            source={"enum": ["live", "partial", "last-known-good", None]},
            why=TEXT,
            who=_object(
                how=TEXT,
                ms=_or_null("number"),
                name=_or_null("string"),
                emails=_or_null("array"),
                teams=_or_null("array"),
            )
            | {"description": "whom HubSpot says the user to be, and how that became known"},
            phoneNumbers=_list(),
            leftOut=_list(),
            accounts=_list(),
        ),
        "User": _object(
            userId=whole, name=_or_null("string"), emails=texts, teams=texts, rule=TEXT
        ),
        "Change": _object(
            id=whole,
            at={"type": "number", "description": "seconds since 1970"},
            who=TEXT,
            kind={"enum": ["account", "portal"]},
            name=TEXT,
            before=_or_null("object"),
            after=_or_null("object"),
        ),
        "Error": _error(),
    }


def _error() -> Schema:
    """The schema of HubSpot's error shape; `errors` are there where a body has faults."""
    one = {"type": "object", "required": ["message"], "properties": {"message": TEXT, "in": TEXT}}
    error = _object(status={"const": "error"}, message=TEXT, correlationId=TEXT, category=TEXT)
    error["properties"]["errors"] = {"type": "array", "items": one}
    return error


def _or_null(kind: str) -> Schema:
    return {"type": [kind, "null"]}


def _list() -> Schema:
    return {"type": "array", "items": {"type": "object"}}


def _object(**properties: Schema) -> dict[str, Any]:
    return {"type": "object", "required": [*properties], "properties": properties}


def _account(provider: str) -> dict[str, Any]:
    """The schema of an account of this provider."""
    options = providers.load(provider).Options
    described = _of_struct(options)
    for name, info in fields_of(options).items():
        if is_secret(info):
            described["properties"][name]["format"] = "password"
        if text := describe(info):
            described["properties"][name]["description"] = text
    described["properties"]["provider"] = {"const": provider}
    described["required"] = ["provider", *described["required"]]
    return {"title": provider, **described}


def _of_struct(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema of a struct, what it is made of within it; without defaults, of which msgspec
    cannot write secret ones."""
    fields = fields_of(struct)
    struct = msgspec.defstruct(struct.__name__, [(name, i.type) for name, i in fields.items()])

    def hook(kind: type) -> dict[str, Any]:
        if issubclass(kind, Secret):
            return dict(TEXT)
        raise NotImplementedError

    whole = msgspec.json.schema(struct, schema_hook=hook)
    parts: dict[str, Any] = whole.get("$defs", {})

    def inline(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return inline(parts[value["$ref"].rpartition("/")[2]])
            return {key: inline(inner) for key, inner in value.items() if key != "title"}
        if isinstance(value, list):
            return [*map(inline, value)]
        # ECMA's regular expressions, which JSON Schema has, know no \Z.
        return re.sub(r"\\Z$", "$", value) if isinstance(value, str) else value

    described: dict[str, Any] = inline(whole)
    described["required"] = [name for name, info in fields.items() if info.required]
    return described | {"additionalProperties": False}
