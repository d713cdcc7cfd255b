"""How long HubSpot asks to be left alone."""

import time
from datetime import UTC
from email.utils import parsedate_to_datetime

LONGEST_S = 86_400.0
"""What HubSpot asks for at most: while a portal is moved to another data centre."""


def wait_s(text: str | None) -> float:
    """Return `Retry-After`, in seconds or as a date, as seconds up to a day; 1 if it says nothing.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    text = (text or "").strip()
    try:
        if text.isdecimal():
            return min(float(text), LONGEST_S)
        until = parsedate_to_datetime(text)
        wanted_s = until.replace(tzinfo=until.tzinfo or UTC).timestamp() - time.time()
        return min(max(0.0, wanted_s), LONGEST_S)
    except (ValueError, OverflowError):
        return 1.0
