"""`make demo`: the real server from the Procfile, asked as HubSpot asks, on a free port.

Exits 0 only if every answer is the right one.
"""

import shlex
import time

import msgspec
import requests
from tabulate import tabulate

from helpdesk_numbers.cli.webhook import drop_down
from helpdesk_numbers.webhook import PATH
from hubspot.schema import Answer, NumbersRequest, write_request
from hubspot.signature import signed_headers
from tests.support.server import ROOT, procfile, serving

SECRET = "demo-secret-not-a-real-one"
PORTAL = 62515
EXPECTED = {
    1001: [
        "Front desk",
        "Back office",
        "Customer Su…ort – Berlin",
        "Customer Su…ort – Munich",
        "+1 202-555-0173",
    ],
    1002: ["Customer Su…ort – Berlin", "Customer Su…ort – Munich"],
    1003: ["+1 202-555-0173"],
}


def main() -> int:
    """Run the demo, and return the exit status."""
    settings = {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "HUBSPOT_APP_ID": "54321",
        "DIRECTORY": str(ROOT / "examples" / "directory.toml"),
        "LOG_FORMAT": "text",
    }
    with serving(settings) as server:
        print(f"$ {shlex.join(procfile())}        # {server.url}, examples/directory.toml")
        results = [show_user(server.url + PATH, user_id) for user_id in EXPECTED]
        results.append(show_forgery(server.url + PATH))
        server.process.terminate()
        results.append(server.process.wait(timeout=30) == 0)
        print("\nWhat the server logged:\n" + server.output())
    if all(results):
        print("All answers were right, and the server stopped as it should.")
        return 0
    print("Something above is WRONG.")
    return 1


def ask(url: str, user_id: int, secret: str) -> requests.Response:
    """Send HubSpot's request for one user, signed with `secret`, and return the answer."""
    body = write_request(NumbersRequest(54321, PORTAL, user_id))
    headers = signed_headers("v3", secret, "POST", url, body, time.time_ns() // 1_000_000)
    headers["Content-Type"] = "application/json"
    return requests.post(url, data=body, headers=headers, timeout=10)


def show_user(url: str, user_id: int) -> bool:
    """Print what HubSpot would show this user, and return whether it is right."""
    answer = ask(url, user_id, SECRET)
    print(f"\nPortal {PORTAL}, user {user_id}: {answer.status_code}")
    print(answer.text)
    if not answer.ok:
        return False
    rows = drop_down(msgspec.json.decode(answer.content, type=Answer).phone_numbers)
    print(tabulate(rows, ["shown as", "number", ""], disable_numparse=True))
    return [name for name, *_ in rows] == EXPECTED[user_id]


def show_forgery(url: str) -> bool:
    """Print the answer to a request signed with another secret; return whether it is a refusal."""
    answer = ask(url, 1001, "a-forger's-guess")
    print(f"\nA forged request: {answer.status_code}")
    print(answer.text)
    return answer.status_code == 401


if __name__ == "__main__":
    raise SystemExit(main())
