"""How long HubSpot asks to be left alone."""

import time
from datetime import UTC
from email.utils import parsedate_to_datetime


def wait_s(text: str | None) -> float:
    """Return `Retry-After`, in seconds or as a date, as seconds; 1 if it says nothing.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    text = (text or "").strip()
    try:
        if text.isdecimal():
            return float(text)
        until = parsedate_to_datetime(text)
        return max(0.0, until.replace(tzinfo=until.tzinfo or UTC).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 1.0
