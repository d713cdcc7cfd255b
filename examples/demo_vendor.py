"""`make demo-vendor`: a thousand portals, two instances, one directory that changes while they run.

PostgreSQL and Valkey from PyPI's wheels, the Procfile's server twice behind a small load balancer,
a stand-in for Twilio. Exits 0 only if all that is shown was right.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from helpdesk_numbers.database.encryption import new_key
from helpdesk_numbers.webhook import PATH
from hubspot.schema import NumbersRequest, write_request
from hubspot.signature import signed_headers
from providers.testing.carrier import Carrier
from tests.support.carrier import TwilioAPI, says, twilio_numbers
from tests.support.commands import flask
from tests.support.postgres import postgres
from tests.support.round_robin import round_robin
from tests.support.server import Server, serving
from tests.support.valkey import valkey

SECRET = "demo-secret-not-a-real-one"
ADMIN = "demo-admin-token-not-a-real-one"
PORTALS, ACCOUNTS = 1_000, 50
FIRST = 62_000
IN_FORCE_S = 5.0


class Vendor:
    """Two instances behind one URL, and what may be asked of them."""

    def __init__(self, public_url: str, instances: list[Server]) -> None:
        self.public_url, self.instances = public_url, instances

    def ask(self, portal_id: int, at: str | None = None) -> requests.Response:
        """HubSpot's request, through the balancer, or at one instance."""
        body = write_request(NumbersRequest(54321, portal_id, 1001))
        now_ms = time.time_ns() // 1_000_000
        headers = signed_headers("v3", SECRET, "POST", self.public_url + PATH, body, now_ms)
        headers["Content-Type"] = "application/json"
        return requests.post((at or self.public_url) + PATH, body, headers=headers, timeout=30)

    def names(self, portal_id: int, at: str | None = None) -> list[str]:
        """What HubSpot would show."""
        answer = self.ask(portal_id, at)
        return [n["friendlyName"] for n in answer.json()["phoneNumbers"]] if answer.ok else []

    def api(self, method: str, path: str, body: object = None) -> requests.Response:
        """A request of the vendor's back office."""
        headers = {"Authorization": f"Bearer {ADMIN}"}
        url = f"{self.public_url}/api/v1{path}"
        return requests.request(method, url, json=body, headers=headers, timeout=30)


def main() -> int:
    """Run the demo, and return the exit status."""
    right = True
    for text, good in story():
        print(f"{'ok   ' if good else 'WRONG'} {text}", flush=True)
        right = right and good
    print("All was right." if right else "Something above is WRONG.")
    return 0 if right else 1


def story() -> Iterator[tuple[str, bool]]:
    """Each step as it is done, and whether it went as it should."""
    twilio = TwilioAPI()
    sids = [f"AC{number:032}" for number in range(ACCOUNTS)]
    for sid in sids:
        twilio.add_account(sid, "token-of-the-demo", twilio_numbers(20))
    with ExitStack() as stack:
        carrier = stack.enter_context(Carrier(twilio))
        balancer = stack.enter_context(round_robin())
        settings = {
            "HUBSPOT_CLIENT_SECRET": SECRET,
            "PUBLIC_URL": balancer.url,
            "DATABASE_URL": stack.enter_context(postgres()),
            "ENCRYPTION_KEYS": new_key(),
            "REDIS_URL": stack.enter_context(valkey()).url,
            "ADMIN_TOKENS": ADMIN,
        }
        yield "PostgreSQL and Valkey are up", True
        file = Path(stack.enter_context(TemporaryDirectory())) / "directory.toml"
        file.write_text(directory(sids, carrier.url))
        began = time.monotonic()
        done = flask(settings, "directory", "import", str(file), "--apply")
        took = time.monotonic() - began
        yield (
            f"{done.stdout.splitlines()[-1:]} flask directory import, {took:.1f} s",
            (done.returncode == 0),
        )
        instances = [stack.enter_context(serving(settings)) for _ in range(2)]
        balancer.backends = [instance.url for instance in instances]
        vendor = Vendor(balancer.url, instances)
        yield from edit(vendor)
        yield from outage(vendor, carrier)


def directory(sids: list[str], url: str) -> str:
    """The directory file of a thousand portals."""
    accounts = (
        f'[accounts.customer-{number}]\nprovider = "twilio"\naccount_sid = "{sid}"\n'
        f'auth_token = "token-of-the-demo"\nbase_url = "{url}"\n'
        for number, sid in enumerate(sids)
    )
    portals = (
        f'[portals.{FIRST + number}]\naccounts = ["customer-{number % ACCOUNTS}"]\n'
        for number in range(PORTALS)
    )
    return "\n".join([*accounts, *portals])


def edit(vendor: Vendor) -> Iterator[tuple[str, bool]]:
    """A rule by the API, seen by both instances within five seconds."""
    seen = [len(vendor.names(FIRST, instance.url)) for instance in vendor.instances]
    yield f"portal {FIRST} at each instance: {seen} numbers", seen[0] == seen[1] > 1
    wanted = vendor.names(FIRST)[0]
    answer = vendor.api("PUT", f"/portals/{FIRST}/rules/users/1001", {"names": [wanted]})
    edited = time.monotonic()
    yield f"PUT /api/v1/portals/{FIRST}/rules/users/1001: {answer.status_code}", answer.ok
    while any(vendor.names(FIRST, one.url) != [wanted] for one in vendor.instances):
        if time.monotonic() > edited + IN_FORCE_S:
            break
    took = time.monotonic() - edited
    yield f"both instances show {wanted!r} alone after {took:.1f} s", took < IN_FORCE_S
    preview = vendor.api("GET", f"/portals/{FIRST}/numbers?userId=1001").json()
    left_out = preview["leftOut"]
    yield (
        f"the preview says of {len(left_out)} numbers why not: {left_out[0]['reason']}",
        bool(left_out),
    )


def outage(vendor: Vendor, carrier: Carrier) -> Iterator[tuple[str, bool]]:
    """The carrier fails, and the instance that never asked it answers from what the other saw."""
    one, other = (instance.url for instance in vendor.instances)
    portal_id = FIRST + 7
    live = vendor.names(portal_id, one)
    yield f"portal {portal_id}, asked at one instance: {len(live)} numbers, live", len(live) > 1
    time.sleep(1.5)  # it is written to Valkey beside the request
    carrier.answer = says({"code": 20500}, 503)
    deadline = time.monotonic() + 10  # a request does not wait for Valkey longer than 50 ms
    while not (answer := vendor.ask(portal_id, other)).ok and time.monotonic() < deadline:
        time.sleep(0.5)
    source = answer.headers.get("Numbers-Source")
    shown = [n["friendlyName"] for n in answer.json().get("phoneNumbers", ())]
    yield (
        f"the carrier is down; the other instance: {answer.status_code}, {source}",
        (answer.status_code == 200 and source == "last-known-good" and shown == live),
    )
    unknown = vendor.ask(FIRST + 8, other)
    yield (
        f"portal {FIRST + 8}, which nobody asked for before: {unknown.status_code}",
        (unknown.status_code == 503),
    )


if __name__ == "__main__":
    raise SystemExit(main())
