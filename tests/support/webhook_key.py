"""A HUBSPOT_WEBHOOK_KEY, and whether a text gives it away."""

from helpdesk_numbers.webhook import PATH

KEY = "Abcdefghij0123456789KLMNopqr"
KEYED = f"{PATH}/{KEY}"


def parts_of_key(text: str) -> list[str]:
    """Stretches of the key that a text holds, in any case: long enough to make a guess easier."""
    starts = range(len(KEY) - 7)
    return [KEY[at : at + 8] for at in starts if KEY[at : at + 8].lower() in text.lower()]
