"""HubSpot's users and a RingCentral-like carrier whose numbers belong to them, in one process.

`python -m benchmarks.people USERS NUMBERS HUBSPOT_S CARRIER_S` prints both URLs as JSON. At
HubSpot's, `/mode?hang` and its like change it, and `/asked` says how often each was asked.
"""

import json
import sys
import threading
import time

from providers.testing import carrier as faults
from providers.testing.carrier import Asked, Carrier, Fault, Reply
from tests.support.hubspot_users import HubSpotUsers, email_of, people

FIRST_USER = 1
AWAY: dict[str, Reply | Fault | None] = {
    "well": None,
    "hang": faults.hang,
    "refused": faults.reset,
    "500": Reply(b"", 500),
    "429": Reply(b"", 429, {"Retry-After": "1"}),
    "477": Reply(b"", 477, {"Retry-After": "600"}),
}


def e164(index: int) -> str:
    """The number of the user of that index."""
    return f"+1202555{index:04}"


def ringcentral(users: int, numbers: int, delay_s: float, asked_for: list[str]) -> Carrier:
    """Numbers whose first ones belong to the users in turn."""
    extensions = [
        {"id": 9000 + i, "contact": {"email": email_of(i).title()}} for i in range(1, users + 1)
    ]
    listed = [
        {"phoneNumber": e164(i)} | ({"extension": {"id": 9000 + i}} if i <= users else {})
        for i in range(1, numbers + 1)
    ]
    encoded = {
        name: json.dumps({"records": records, "paging": {"totalPages": 1}}).encode()
        for name, records in (("extension", extensions), ("phone-number", listed))
    }

    def answer(asked: Asked) -> Reply:
        name = asked.path.rpartition("/")[2]
        if name == "token":
            return Reply({"access_token": "t", "expires_in": 3600})
        asked_for.append(name)
        time.sleep(delay_s)
        if email := asked.params.get("email"):
            mine = [one for one in extensions if str(one["contact"]).lower().count(email.lower())]
            return Reply({"records": mine[:1], "paging": {"totalPages": 1}})
        return Reply(encoded[name], headers={"Content-Type": "application/json"})

    return Carrier(answer)


def main(users: int, numbers: int, hubspot_s: float, carrier_s: float) -> None:
    """Serve until standard input ends."""
    asked_for: list[str] = []
    with (
        HubSpotUsers(*people(range(FIRST_USER, users + 1)), delay_s=hubspot_s) as hubspot,
        ringcentral(users, numbers, carrier_s, asked_for) as carrier,
    ):
        answer = hubspot.answer

        def controlled(asked: Asked) -> Reply | Fault:
            if asked.path == "/mode":
                hubspot.always = AWAY[asked.target.partition("?")[2]]
                return Reply({})
            if asked.path == "/asked":
                counted = sum(one.path not in ("/mode", "/asked") for one in hubspot.asked)
                return Reply({"hubspot": counted, "listings": asked_for.count("phone-number")})
            return answer(asked)

        hubspot.answer = controlled
        print(json.dumps({"hubspot": hubspot.url, "carrier": carrier.url}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
