"""The webhook asked as HubSpot asks it, and its answer as HubSpot shows it."""

import time
from typing import Any, NamedTuple

import requests

from hubspot.names import MAX_NAME_UNITS
from hubspot.schema import NumbersRequest, write_request
from hubspot.signature import Version, signed_headers


class Answer(NamedTuple):
    """What a webhook answered, and how many seconds it took."""

    response: requests.Response
    seconds: float

    def numbers(self) -> list[dict[str, Any]] | None:
        """Return HubSpot's list, or None if the answer is anything else."""
        try:
            listed = list(self.response.json()["phoneNumbers"])
            drop_down(listed)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return listed if self.response.status_code == 200 else None


def ask_webhook(
    session: requests.Session,
    request: NumbersRequest,
    secret: str,
    url: str,
    signed_url: str,
    version: Version = "v3",
) -> Answer:
    """Send a request, signed for `signed_url`, and return what `url` answers within 30 seconds.

    Raises:
        RequestException, ValueError: no answer came; `why_no_answer` says why.
    """
    body, now_ms = write_request(request), time.time_ns() // 1_000_000
    headers = signed_headers(version, secret, "POST", signed_url, body, now_ms)
    headers["Content-Type"] = "application/json"
    started = time.perf_counter()
    response = session.post(url, body, headers=headers, timeout=30, allow_redirects=False)
    return Answer(response, time.perf_counter() - started)


def drop_down(listed: list[dict[str, Any]]) -> list[list[str]]:
    """Return the drop-down as HubSpot would show it: name, number, and whether it is selectable."""
    return [
        [
            _first_units(item["friendlyName"]),
            item["e164PhoneNumber"],
            f"not selectable: extension {item['extension']}" if item["extension"] else "",
        ]
        for item in listed
    ]


def _first_units(name: str) -> str:
    units = name.encode("utf-16-le")[: 2 * MAX_NAME_UNITS]
    return units.decode("utf-16-le", "ignore")
