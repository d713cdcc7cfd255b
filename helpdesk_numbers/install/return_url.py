"""Where the Marketplace wants an install to end: a page of HubSpot's, or nobody is sent there."""

import re
from urllib.parse import urlencode

_HUBSPOT = re.compile(
    r"https://app(-[a-z]{2,4}[0-9]{1,2})?\.hubspot\.com"
    r"([/?#][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?"
)
"""Scheme and host to the letter, then what may stand in a URL as it is."""


def is_hubspots(url: str) -> bool:
    """Return whether the URL is of a page in HubSpot."""
    return len(url) <= 4000 and _HUBSPOT.fullmatch(url) is not None


def with_state(url: str, state: str) -> str:
    """Return the URL with `state` in its query."""
    base, mark, fragment = url.partition("#")
    separator = "&" if "?" in base else "?"
    return f"{base}{separator}{urlencode({'state': state})}{mark}{fragment}"
