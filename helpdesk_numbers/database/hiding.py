"""Which parts of an account's or portal's table are secret, and the table without them."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from msgspec.structs import FieldInfo

from providers import load
from providers.base.options import Secret, fields_of, is_secret

HIDDEN = "***"
"""What is shown in place of a secret."""


def split_secrets(table: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an account's options without the secret ones, and these."""
    known: Mapping[str, FieldInfo] = {}
    with suppress(LookupError, ImportError):  # a third party's that is not installed here
        known = fields_of(load(table["provider"]).Options)
    secret = {
        name: value
        for name, value in table.items()
        if (is_secret(known[name]) if name in known else isinstance(value, Secret))
    }
    return {n: v for n, v in table.items() if n not in secret and n != "provider"}, secret


def hide_secrets(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return an account's or portal's table with HIDDEN for each secret."""
    secret = split_secrets(table)[1] if "provider" in table else {"token"} & table.keys()
    return {**table, **dict.fromkeys(secret, HIDDEN)}
