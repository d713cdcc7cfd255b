"""What carriers answer, well and badly, for the server of providers/testing/carrier.py.

`TwilioAPI` follows Twilio's description.
"""

import gzip
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from providers.testing.carrier import Answer, Asked, Fault, Reply, dripping

DATA = Path(__file__).parent.parent / "data"
SID = "AC" + "0" * 31 + "1"
TOKEN = "token-of-acme"
HTML = b"<html><body>Bad gateway, call +12025550199</body></html>"


def says(body: Any = b"", status: int = 200, **headers: str) -> Answer:
    """The same answer to everything; `Retry_After="5"` is a header."""
    reply = Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})
    return lambda _: reply


def does(fault: Fault) -> Answer:
    """The same fault at every request."""
    return lambda _: fault


drip_headers = dripping(b"HTTP/1.1 200 OK\r\n", b"X-Slow: very\r\n")


def pour(connection: socket.socket, stop: threading.Event) -> None:
    """A body without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while not stop.is_set():
        connection.sendall(b" " * 65_536)


def bomb(mebibytes: int) -> Answer:
    """An answer that is small on the wire and `mebibytes` large once unpacked."""
    packed = gzip.compress(b" " * (mebibytes << 20))
    return says(packed, Content_Encoding="gzip")


@contextmanager
def refusing() -> Iterator[str]:
    """The URL of a port where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def documented(name: str) -> Any:
    """The body of `tests/data/<name>.json`, as the carrier documents it."""
    return json.loads((DATA / f"{name}.json").read_text())["body"]


def twilio_settings(url: str) -> dict[str, str]:
    """The settings for one account, Twilio's at `url`."""
    return {
        "HUBSPOT_PORTAL_IDS": "62515",
        "PROVIDER": "twilio",
        "TWILIO_ACCOUNT_SID": SID,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_BASE_URL": url,
    }


def twilio_account(name: str, url: str) -> str:
    """The same in a directory."""
    return (
        f'[accounts.{name}]\nprovider = "twilio"\naccount_sid = "{SID}"\n'
        f'auth_token = "{TOKEN}"\nbase_url = "{url}"\n'
    )


Record = dict[str, Any]


def twilio_numbers(count: int, area: int = 201) -> list[Record]:
    """Numbers of which most, not all, can take a call: a tenth each is text-only, receives faxes,
    or has null for its capabilities; another tenth has a null receive mode, which is no fax."""
    template = documented("twilio/numbers")["incoming_phone_numbers"][0]
    odd: list[Record] = [
        {"capabilities": {"voice": False, "sms": True, "mms": True, "fax": False}},
        {"voice_receive_mode": "fax"},
        {"capabilities": None},
        {"voice_receive_mode": None},
    ]
    return [
        template
        | {
            "sid": f"PN{index:032x}",
            "phone_number": f"+1{area + index // 100}55501{index % 100:02}",
            "friendly_name": f"Line {index}",
        }
        | (odd[index % 10] if index % 10 < len(odd) else {})
        for index in range(count)
    ]


def can_take_calls(record: Record) -> bool:
    """Whether Twilio's description says so."""
    capabilities = record["capabilities"] or {}
    return capabilities.get("voice") is True and record["voice_receive_mode"] != "fax"


class TwilioAPI:
    """Answers as Twilio's IncomingPhoneNumbers list does, for accounts that a test adds.

    `prefix` is a path below which a proxy serves it all.
    """

    def __init__(self, prefix: str = "") -> None:
        self._path = re.compile(
            re.escape(prefix) + r"(/2010-04-01/Accounts/(\w+)/IncomingPhoneNumbers\.json)"
        )
        self._numbers: dict[str, list[Record]] = {}
        self._logins: dict[tuple[str, str], set[str]] = {}

    def add_account(
        self, sid: str, token: str, numbers: list[Record], parent: tuple[str, str] | None = None
    ) -> None:
        """An account; a sub-account if `parent`, whose login then reads it too, is given."""
        self._numbers[sid] = numbers
        self._logins.setdefault((sid, token), set()).add(sid)
        if parent:
            self._logins[parent].add(sid)

    def add_key(self, key: str, secret: str, sid: str) -> None:
        """An API key of the account."""
        self._logins[key, secret] = {sid}

    def __call__(self, asked: Asked) -> Reply:
        found = self._path.fullmatch(asked.path)
        if not found:
            return _error(404, 20404, "The requested resource was not found")
        if found[2] not in self._logins.get(asked.basic, set()):
            return Reply(documented("twilio/error"), 401)
        params = asked.params
        size, page = int(params.get("PageSize", 50)), int(params.get("Page", 0))
        if not 1 <= size <= 1000:
            return _error(400, 20001, "Page size must be between 1 and 1000")
        if page and "PageToken" not in params:
            return _error(400, 20001, "Page token missing")
        return self._page(found[1], found[2], size, page, params)

    def _page(self, path: str, sid: str, size: int, page: int, params: dict[str, str]) -> Reply:
        numbers = self._numbers[sid]
        if wanted := params.get("PhoneNumber"):
            pattern = re.compile(re.escape(wanted).replace(r"\*", r"\d"))
            numbers = [one for one in numbers if pattern.search(one["phone_number"] or "")]
        start = page * size
        last = numbers[start - 1 : start]  # of the page before
        if page and (not last or params["PageToken"] != f"PA{last[0]['sid']}"):
            return _error(400, 21481, "Invalid PageToken")
        kept = {"PhoneNumber": wanted} if wanted else {}
        shown = numbers[start : start + size]

        def uri(number: int) -> str:
            token = {"PageToken": f"PA{numbers[number * size - 1]['sid']}"} if number else {}
            return f"{path}?" + urlencode(kept | {"PageSize": size, "Page": number} | token)

        return Reply(
            {
                "end": start + len(shown) - 1,
                "first_page_uri": uri(0),
                "incoming_phone_numbers": shown,
                "next_page_uri": uri(page + 1) if start + size < len(numbers) else None,
                "page": page,
                "page_size": size,
                "previous_page_uri": uri(page - 1) if page else None,
                "start": start,
                "uri": uri(page),
            }
        )


def _error(status: int, code: int, message: str) -> Reply:
    info = f"https://www.twilio.com/docs/errors/{code}"
    return Reply({"code": code, "message": message, "more_info": info, "status": status}, status)
