"""Which parts of an account's or portal's table are secret, and the table without them."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from msgspec.structs import FieldInfo

from providers import load
from providers.base.options import FAULTY, Problems, Secret, fields_of, is_secret

HIDDEN = "***"
"""What is shown in place of a secret."""

_WHERE = re.compile("url|host|server|domain|endpoint|address")
"""In the name of an option that says where an account's requests, and so its secrets, go."""


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


def unhide(
    table: Mapping[str, Any], before: Mapping[str, Any] | None, problems: Problems
) -> dict[str, Any]:
    """Return the table with the secrets that are stored where it has HIDDEN.

    They stay with the provider and the addresses that they were given for: else who may write them
    could have them sent elsewhere, and so read them.
    """
    stored, given = dict(before or {}), dict(table)
    moved = [
        option
        for option in stored.keys() | given.keys()
        if (option == "provider" or _WHERE.search(option))
        and stored.get(option) != given.get(option)
    ]
    for option, value in table.items():
        if value == HIDDEN:
            if before is None or not stored.get(option):
                problems.at(option).add(
                    "*** stands for what is stored, which cannot be had: give it"
                )
            elif moved:
                problems.at(option).add(f"give it anew, for {min(moved)} is another one")
            given[option] = stored.get(option) or FAULTY
    return given
