"""What a database, and a path of the management API, can hold: less than a directory file."""

import re
from collections.abc import Mapping
from typing import Any

from providers.base.options import Problems

MOST_KEY = 255
"""Characters of a rule's key. PostgreSQL indexes some 2,700 bytes at most:
https://www.postgresql.org/docs/current/btree.html"""

_WITH_USER = re.compile(r"https?://[^/?#]*@", re.IGNORECASE)


def is_name(name: object) -> bool:
    """Return whether an account can be called that. PostgreSQL has no text with a null character,
    and a slash would end the name in a path."""
    if not isinstance(name, str) or not 0 < len(name) <= 100 or "/" in name:
        return False
    return name.isprintable() and name == name.strip()


def check_account(name: str, table: Mapping[str, Any], problems: Problems) -> None:
    """Add what an account in a file may be, and one in a database may not."""
    if not is_name(name):
        problems.add("a name has 1 to 100 characters that can be seen, without a slash")
    for option, value in table.items():
        if isinstance(value, str) and _WITH_USER.match(value):
            text = "a user or password in a URL would be shown to whoever may see the account"
            problems.at(option).add(f"{text}: leave it out")


def check_rules(portal: Mapping[str, Any], problems: Problems) -> None:
    """Add which rules' keys a portal in a file may have, and one in a database may not."""
    for kind in ("user", "team"):
        rules = portal.get(kind)
        for key in rules if isinstance(rules, dict) else ():
            if not key.isprintable():
                problems.at(kind).at(ascii(key)).add("it has characters that cannot be seen")
            elif len(key) > MOST_KEY:
                at = problems.at(kind).at(f"{key[:20]}…")
                at.add(f"it has more than {MOST_KEY} characters")
