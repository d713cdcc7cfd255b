"""`python -m tests.prism_providers [FOLDER]`: every adapter against its vendor's own description.

Installs @stoplight/prism-cli (npm) into a throwaway folder and serves each description of FOLDER
(tests/data/specs: `info.x-source` has its source, `info.x-changed` what was changed for this) by
`prism mock --errors`. The adapter lists through a relay: plainly, and for rules with a number and
with an owner. It is good if Prism finds no violation in a request, the description has every
parameter that was sent, and the answers are read. A request without credentials shows that Prism
does refuse. Exits 0 if all are good.
"""

import argparse
import importlib
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from tabulate import tabulate

import providers
from providers.base.errors import ProviderError
from providers.base.options import Problems, build
from providers.base.provider import Deadline, PhoneNumber, Provider, Query
from providers.testing import ProviderContract
from providers.testing.carrier import Asked, Carrier, Reply

SPECS = Path(__file__).parent.parent / "data" / "specs"
PATIENCE_S = 60.0
TOKEN_PATH = "/prism/token"  # no description has an endpoint for tokens
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    # its description is older than its tokens, and knows HTTP Basic alone
    "bandwidth": {"account_id": "9900008", "username": "user", "password": "not-a-real-one"},
}
"""Used in place of those of the adapter's contract class."""
RULES: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "number": {"numbers": ("+12025550143",)},
    "owner": {"owner": "a@acme.example"},
}


@dataclass
class Outcome:
    """What came of an adapter's listings."""

    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    numbers: int = 0
    unauthorised: int = 0
    own_example_wrong: bool = False
    astray: bool = False

    def good(self) -> bool:
        return not self.faults and self.numbers > 0 and self.unauthorised == 401


def main() -> int:
    """Run all; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.prism_providers")
    parser.add_argument("folder", nargs="?", type=Path, default=SPECS)
    folder: Path = parser.parse_args().folder
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        prism = install(Path(scratch))
        for name in providers.BUILT_IN:
            path = folder / f"{name}.json"
            options = options_of(name)
            if not path.exists():
                rows.append([name, "no description", "", "", ""])
            elif options is None:
                rows.append([name, "BAD: no contract class", "", "", ""])
            else:
                rows.append([name, *report(name, prism, path, options)])
    heads = ["provider", "verdict", "requests", "numbers read", "without key"]
    print(tabulate(rows, heads))
    return 1 if any(str(row[1]).startswith("BAD") for row in rows) else 0


def report(name: str, prism: Path, path: Path, options: Mapping[str, Any]) -> list[object]:
    """A row of the table; what was asked, and the faults, are printed."""
    outcome = judge(name, prism, path, options, "--errors")
    remarks = []
    if outcome.own_example_wrong:  # then as it stands: requests are judged all the same
        outcome = judge(name, prism, path, options)
        remarks.append("its own example breaks its schema, and was read as it stands")
    if changed := json.loads(path.read_text())["info"].get("x-changed"):
        remarks.append(changed.partition(":")[0])
    if outcome.astray:
        remarks.append("its example's next link leads nowhere")
    for line in dict.fromkeys(outcome.requests + outcome.faults):
        print(f"{name}: {line}")
    verdict = "good" if outcome.good() else "BAD"
    return [
        "; ".join([verdict, *remarks]),
        len(outcome.requests),
        outcome.numbers,
        outcome.unauthorised,
    ]


def install(folder: Path) -> Path:
    """Install Prism; its command."""
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)]
    subprocess.run([*command, "@stoplight/prism-cli@5"], check=True)
    return folder / "node_modules" / ".bin" / "prism"


def options_of(name: str) -> Mapping[str, Any] | None:
    """The options of the adapter's contract class, if there are none of our own."""
    if name in OPTIONS:
        return OPTIONS[name]
    try:
        module = importlib.import_module(f"tests.test_providers_{name}")
    except ModuleNotFoundError:
        return None
    found = (
        kind.options
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, ProviderContract)
        and getattr(getattr(kind, "provider", None), "name", "") == name
    )
    return next(found, None)


def judge(name: str, prism: Path, path: Path, options: Mapping[str, Any], *flags: str) -> Outcome:
    """List through Prism and say what came of it."""
    description = json.loads(path.read_text())
    outcome = Outcome()
    with (
        mock(prism, path, flags) as (url, violations),
        Carrier(Relay(url, description, outcome).answer) as carrier,
    ):
        for rule, given in RULES.items():
            try:
                account = account_of(name, options, carrier.url, description)
                query = Query(**given, deadline=Deadline(PATIENCE_S))
                outcome.numbers += sum(1 for _ in up_to_the_end(account, query, outcome))
            except Exception as error:  # also a reader's, on what the description allows
                outcome.faults.append(f"{rule}: {type(error).__name__}: {error}")
        outcome.faults += map(str, carrier.failures)
        outcome.faults += violations()
        if outcome.requests:
            method, target = outcome.requests[0].split(" ")
            asked = requests.request(method, url + target, timeout=10)
            outcome.unauthorised = asked.status_code
    return outcome


def up_to_the_end(account: Provider, query: Query, outcome: Outcome) -> Iterator[PhoneNumber]:
    """The numbers. An example's next link leads to itself or away, both of which we refuse; its
    total is not that of its numbers, which is held against a first listing alone."""
    query.progress.restart()
    try:
        yield from account.list_numbers(query)
    except ProviderError as error:
        circle = str(error).endswith(("was followed before", "names another host"))
        status = getattr(error.__cause__ or error, "status", None)
        if not (circle or (outcome.astray and status == 404)):
            raise


def account_of(
    name: str, options: Mapping[str, Any], url: str, description: dict[str, Any]
) -> Provider:
    """An account whose requests go to `url`.

    Prism serves a description's paths without that of its server, `/v2` in Zoom's.
    """
    kind = providers.load(name)
    served = urlsplit(description["servers"][0]["url"]).path.rstrip("/")
    below = urlsplit(getattr(kind, "base_url", "")).path.removeprefix(served)
    more = {"base_url": url + below}
    if hasattr(kind, "oauth_url"):
        more["oauth_url"] = url + TOKEN_PATH
    problems = Problems()
    built = build(kind.Options, {**options, **more}, problems)
    if built is None:
        raise ValueError(f"options of the contract: {problems.lines}")
    return kind(built, name)


@contextmanager
def mock(
    prism: Path, path: Path, flags: tuple[str, ...]
) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """Prism's mock of a description: its address, and the violations of requests logged so far."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.NamedTemporaryFile("w+") as log:
        command = [str(prism), "mock", "--port", str(port), *flags, str(path)]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

        def violations() -> list[str]:
            lines = Path(log.name).read_text().splitlines()
            return [line.strip() for line in lines if "Violation: request" in line]

        try:
            wait_for(process, port)
            yield f"http://127.0.0.1:{port}", violations
        finally:
            process.terminate()
            process.wait(10)


def wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Return once the port answers."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as attempt:
            if not attempt.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    raise RuntimeError("Prism did not start")


class Relay:
    """Hands requests on to Prism, and notes them and what it holds against them."""

    def __init__(self, url: str, description: dict[str, Any], outcome: Outcome) -> None:
        self._url, self._description, self._outcome = url, description, outcome
        self._answered = b""

    def answer(self, asked: Asked) -> Reply:
        if asked.path == TOKEN_PATH:
            return Reply({"access_token": "a-token-for-prism", "expires_in": 3600})
        known = parameters(self._description, asked.method.lower(), asked.path)
        if known is None and asked.target.strip("/").encode() in self._answered:
            self._outcome.astray = True
            return Reply(b"", 404)
        self._outcome.requests.append(f"{asked.method} {asked.target}")
        unknown = asked.params.keys() - (known or set())
        if unknown:
            names = ", ".join(sorted(unknown))
            self._outcome.faults.append(f"not in the description: {names}")
        headers = {name: value for name, value in asked.headers.items() if name != "Host"}
        url = self._url + asked.target
        said = requests.request(asked.method, url, headers=headers, data=asked.body, timeout=10)
        if said.status_code >= 400:
            self._outcome.faults.append(f"Prism: {said.status_code} {said.text[:600]}")
            places = {
                fault["location"][0]
                for fault in json.loads(said.content or b"{}").get("validation") or ()
            }
            self._outcome.own_example_wrong |= places == {"response"}
        self._answered += said.content
        kind = said.headers.get("Content-Type", "")
        return Reply(said.content, said.status_code, {"Content-Type": kind})


def parameters(description: dict[str, Any], method: str, path: str) -> set[str] | None:
    """The names of the query parameters that a path takes; None if there is no such path."""
    for template, item in description["paths"].items():
        if fits(template, path) and method in item:
            given = [*item.get("parameters", []), *item[method].get("parameters", [])]
            resolved = (resolve(description, parameter) for parameter in given)
            return {found["name"] for found in resolved if found["in"] == "query"}
    return None


def resolve(description: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` refers to."""
    while "$ref" in given:
        found = description
        for key in given["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        given = found
    return given


def fits(template: str, path: str) -> bool:
    """Whether a path is of the template `/a/{b}`."""
    parts, given = template.split("/"), path.split("/")
    return len(parts) == len(given) and all(
        one.startswith("{") or one == other for one, other in zip(parts, given, strict=True)
    )


if __name__ == "__main__":
    raise SystemExit(main())
