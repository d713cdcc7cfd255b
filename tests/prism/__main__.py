"""`make prism`: the channel-connection commands and the clients for users, OAuth and the uninstall
against mocks that Prism makes of HubSpot's own API descriptions, the files beside this one.

Installs @stoplight/prism-cli (npm) into a throwaway folder. Prism judges each request by the
description and refuses those that violate it. Exits 0 if it refused none of ours, each answer was
read, and it did refuse one that is wrong on purpose.

The descriptions are those that HubSpot publishes (github.com/HubSpot/HubSpot-public-api-spec-
collection, read November 2026), cut to the paths used. They disagree about authorisation with
HubSpot's pages, so that both kinds are allowed in the four for calling; owners and users have
examples in place of `null`.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from tabulate import tabulate

from helpdesk_numbers.webhook import PATH
from tests.prism import oauth, users
from tests.support.hubspot_api import PATHS
from tests.support.server import ROOT, environ, free_port

HERE = Path(__file__).parent
URL = f"https://numbers.example.com{PATH}"
COMMANDS = {
    "show": ["show"],
    "create": ["create", "--url", URL, "--force"],
    "create --ready": ["create", "--url", URL, "--force", "--ready"],
    "update --url": ["update", "--url", URL, "--force"],
    "update --ready": ["update", "--ready"],
    "update, both": ["update", "--url", URL, "--force", "--not-ready"],
    "delete": ["delete", "--yes"],
}
SAYS = {"show": "isReady:", "create": "Registered.", "update": "isReady:", "delete": "Deleted."}
CREDENTIALS = {"key": "HUBSPOT_DEVELOPER_API_KEY", "token": "HUBSPOT_ACCESS_TOKEN"}


def main() -> int:
    """Run all; returns the exit status."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        packages = ["@stoplight/prism-cli"]
        subprocess.run(["npm", "install", "--silent", "--prefix", folder, *packages], check=True)
        for version in PATHS:
            name = f"hubspot-calling-{version}"
            with prism(Path(folder), name) as (url, log), front(url) as outside:
                for name, arguments in COMMANDS.items():
                    outside.registered = not name.startswith("create")
                    for kind, variable in CREDENTIALS.items():
                        said = run(version, outside.url, variable, arguments)
                        right = SAYS[name.split()[0].strip(",")] in said
                        rows.append([version, name, kind, "ok" if right else said])
                reports = log.read_text()
                seen = "none" if "iolation" not in reports else "see below"
                rows.append([version, "violations reported", "", "ok" if seen == "none" else seen])
                if seen != "none":
                    print(reports)
                path = PATHS[version].format(1) + "/channel-connection"
                wrong = requests.post(
                    f"{url}{path}?hapikey=x",
                    json={"url": URL},
                    headers={"Accept": "application/json"},
                    timeout=10,
                )
                refused = not wrong.ok and "required property 'isReady'" in log.read_text()
                rows.append([version, "(wrong on purpose)", "key", "ok" if refused else wrong.text])
        for name in users.DESCRIPTIONS:
            with prism(Path(folder), name) as (url, log):
                rows += users.rows(name, url, log)
        for name in oauth.DESCRIPTIONS:
            with prism(Path(folder), name) as (url, log):
                rows += oauth.rows(name, url, log)
    print(tabulate(rows, ["version", "command", "by", "result"]))
    failed = sum(row[-1] != "ok" for row in rows)
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


def run(version: str, url: str, variable: str, arguments: list[str]) -> str:
    """What the command prints, all of it if it fails."""
    settings = {
        "FLASK_SKIP_DOTENV": "1",
        "HUBSPOT_APP_ID": "1",
        "HUBSPOT_API_VERSION": version,
        "HUBSPOT_API_BASE_URL": url,
        variable: "a-credential-of-tests",
    }
    done = subprocess.run(
        [str(Path(sys.executable).parent / "flask"), "channel-connection", *arguments],
        cwd=ROOT,
        env=environ(settings),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout if done.returncode == 0 else f"exit {done.returncode}: {done.stderr}"


@contextmanager
def prism(folder: Path, description: str) -> Iterator[tuple[str, Path]]:
    """Prism with one description: its URL, and the file that it logs to."""
    log, port = folder / f"{description}.log", free_port()
    with log.open("w") as out:
        process = subprocess.Popen(
            [
                folder / "node_modules" / ".bin" / "prism",
                *("mock", "--errors", "--port", str(port)),
                HERE / f"{description}.json",
            ],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NO_COLOR": "1"},
        )
    try:
        for _ in range(300):
            if "is listening" in log.read_text() or process.poll() is not None:
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", log
    finally:
        process.terminate()
        process.wait(30)


class _Front(ThreadingHTTPServer):
    """Passes everything on. Prism keeps no state, so a good GET is answered with 404 instead as
    long as nothing is registered."""

    registered = True
    inside = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: _Front

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name != "Host"}
        answer = requests.request(
            self.command, self.server.inside + self.path, data=body, headers=headers, timeout=10
        )
        status = answer.status_code
        if self.command == "GET" and status == 200 and not self.server.registered:
            status = 404
        self.send_response(status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: Prism has a log."""


@contextmanager
def front(inside: str) -> Iterator[_Front]:
    """A running front."""
    with _Front(("127.0.0.1", 0), _Handler) as server:
        server.inside = inside
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    raise SystemExit(main())
