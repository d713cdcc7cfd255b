"""`make interop`: HubSpot's own clients sign, the running service answers.

Installs hubspot-api-client (PyPI) into a throwaway environment and @hubspot/api-client (npm) into
a throwaway folder, starts gunicorn, and sends what they sign: as it is (200) and with one bit
changed somewhere (401). Exits 0 if every answer was the right one.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import requests
from tabulate import tabulate

from helpdesk_numbers.webhook import PATH
from tests.support.server import serving

HERE = Path(__file__).parent
SECRET = "interop-secret-not-a-real-one"
DIRECTORY = """
[accounts.desk]
provider = "static"
numbers = [{ number = "+12025550143", name = "Front desk" }]
[portals.62515]
accounts = ["desk"]
"""


@dataclass(frozen=True)
class Sent:
    """A request and its signature."""

    method: str
    uri: str
    body: str
    timestamp: str
    signature: str = ""


def main() -> int:
    """Run all cases; returns the exit status."""
    settings = {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "DIRECTORY_TOML": DIRECTORY,
        "HUBSPOT_SIGNATURE_VERSIONS": "v3,v2",
    }
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder, serving(settings) as server:
        for client, command in (
            ("Python", python_client(Path(folder))),
            ("Node", node_client(Path(folder))),
        ):
            with signer(command) as sign:
                for version in ("v3", "v2"):
                    for case, sent, expected in cases(server.url + PATH, version, sign):
                        status = send(sent, version).status_code
                        rows.append([client, version, case, expected, status])
    print(tabulate(rows, ["client", "version", "case", "expected", "answered"]))
    wrong = [row for row in rows if row[3] != row[4]]
    print(f"{len(rows) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


def python_client(folder: Path) -> list[str]:
    """Install HubSpot's Python client; the command that signs with it."""
    environment = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = str(environment / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "hubspot-api-client"], check=True)
    return [python, str(HERE / "sign.py")]


def node_client(folder: Path) -> list[str]:
    """Install HubSpot's Node client; the command that signs with it."""
    subprocess.run(
        ["npm", "install", "--silent", "--prefix", folder, "@hubspot/api-client"], check=True
    )
    script = folder / "sign.cjs"
    script.write_text((HERE / "sign.cjs").read_text())
    return ["node", str(script)]


@contextmanager
def signer(command: list[str]) -> Iterator["Signer"]:
    """A running client that signs."""
    # Not from here: the client's package would be shadowed by ours of the same name.
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
    )
    try:
        yield Signer(process)
    finally:
        process.communicate()


class Signer:
    """Asks a client's process for signatures."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self, sent: Sent, version: str) -> Sent:
        asked = {
            "secret": SECRET,
            "version": version,
            "method": sent.method,
            "uri": sent.uri,
            "body": sent.body,
            "timestamp": sent.timestamp,
        }
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("started without pipes")
        stdin.write(json.dumps(asked) + "\n")
        stdin.flush()
        return replace(sent, signature=stdout.readline().strip())


def cases(url: str, version: str, sign: Signer) -> Iterator[tuple[str, Sent, int]]:
    """Name, request and expected status: good ones, and each part with one bit changed."""
    now = str(time.time_ns() // 1_000_000)
    plain = Sent("POST", url, '{"appId":54321,"portalId":62515,"userId":1001}', now)
    good = sign(plain, version)
    yield "as signed", good, 200
    yield "with a query", sign(replace(plain, uri=url + "?to=desk%20one&x=1"), version), 200
    spaced = '{ "appId": 54321, "portalId": 62515, "userId": 1001, "name": "Zoë – 電話" }'
    yield "other body", sign(replace(plain, body=spaced), version), 200
    yield "body", replace(good, body=good.body.replace("1001", "1000")), 401
    queried = sign(replace(plain, uri=url + "?x=0"), version)
    yield "URL", replace(queried, uri=url + "?x=1"), 401
    yield "method", replace(sign(replace(plain, method="QOST"), version), method="POST"), 401
    flipped = good.signature[:8] + chr(ord(good.signature[8]) ^ 1) + good.signature[9:]
    yield "signature", replace(good, signature=flipped), 401
    if version == "v3":
        yield "timestamp", replace(good, timestamp=str(int(now) ^ 1)), 401
        stale = sign(replace(plain, timestamp=str(int(now) - 301_000)), version)
        yield "timestamp 301 s ago", stale, 401
        ahead = sign(replace(plain, timestamp=str(int(now) + 303_000)), version)
        yield "timestamp 303 s ahead", ahead, 401


def send(sent: Sent, version: str) -> requests.Response:
    """Send it as HubSpot does."""
    headers = {"Content-Type": "application/json"}
    if version == "v3":
        headers["X-HubSpot-Signature-v3"] = sent.signature
        headers["X-HubSpot-Request-Timestamp"] = sent.timestamp
    else:
        headers["X-HubSpot-Signature"] = sent.signature
        headers["X-HubSpot-Signature-Version"] = version
    body = sent.body.encode()
    return requests.request(sent.method, sent.uri, data=body, headers=headers, timeout=10)


if __name__ == "__main__":
    raise SystemExit(main())
