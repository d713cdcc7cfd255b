"""How the commands ask a running service why it answers as it does, by `POST …/explain`."""

import time
from typing import Any

import requests

from helpdesk_numbers.explain import signed_headers
from helpdesk_numbers.settings import Settings
from hubspot import schema
from hubspot.settings_api import why_no_answer

TIMEOUT_S = 90.0


class NoExplanation(Exception):
    """The service did not explain itself; the text says why."""


def _printable(value: Any) -> Any:
    """The value as a terminal may show it, whoever answered."""
    if isinstance(value, dict):
        return {name: _printable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_printable(inner) for inner in value]
    if isinstance(value, str) and not value.isprintable():
        return "".join(each if each.isprintable() else " " for each in value)
    return value


def ask(url: str, signed_url: str, settings: Settings, portal_id: int, user_id: int) -> Any:
    """Return what the service at this webhook URL says about a user: helpdesk_numbers/explain.py.

    `signed_url` is the webhook's URL as the service sees it.

    Raises:
        NoExplanation: it did not answer, or not with 200.
    """
    question = schema.NumbersRequest(settings.hubspot_app_id or 1, portal_id, user_id)
    body, now_ms = schema.write_request(question), time.time_ns() // 1_000_000
    secret = settings.hubspot_client_secret[0]
    headers = signed_headers(secret, f"{signed_url}/explain", body, now_ms)
    headers["Content-Type"] = "application/json"
    try:
        answer = requests.post(
            f"{url}/explain", body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False
        )
        if answer.status_code == 200 and {"leftOut", "directory"} <= set(data := answer.json()):
            return _printable(data)
    except (requests.RequestException, ValueError, TypeError) as error:
        raise NoExplanation(why_no_answer(error)) from None
    reasons = {
        200: "it is another service",
        401: "it has another HUBSPOT_CLIENT_SECRET or PUBLIC_URL",
        403: "it has another HUBSPOT_APP_ID",
        404: "it is an older version, or has another HUBSPOT_WEBHOOK_KEY",
    }
    reason = reasons.get(answer.status_code, "its log says more")
    raise NoExplanation(f"it answers {answer.status_code}: {reason}")
