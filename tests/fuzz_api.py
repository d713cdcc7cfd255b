"""`make fuzz-api`: Schemathesis asks the running API everything that its description allows, and
what it does not, for ten minutes or as many as are given.

Installs Schemathesis (PyPI) into an environment of its own, and starts PostgreSQL, a stand-in for
HubSpot and gunicorn. Exits 0 if nothing failed and nothing was answered with 5xx.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from tests.support.hubspot_users import HubSpotUsers, people
from tests.support.postgres import KEY, postgres
from tests.support.server import ROOT, serving

VERSION = "schemathesis==4.32.5"
TOKEN = "fuzz-token-not-a-real-one"
KNOWN = """
[parameters]
"path.portalId" = 62515
"path.name" = "desk"
"path.user" = "1001"
"path.team" = "Support"
"""

HOOKS = """
from schemathesis.engine import observations

read = observations._same_origin_path

def read_or_not(value, origin):
    try:
        return read(value, origin)
    except ValueError:
        return None

observations._same_origin_path = read_or_not
"""
"""This version fails at an answer that holds `http://[0]`, which an account's base_url may be."""


class Anything(str):
    """Equal to everything: the token that this HubSpot takes."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def main(minutes: float) -> int:
    """Run for so many minutes; returns the exit status."""
    with tempfile.TemporaryDirectory() as folder, postgres() as database:
        environment = Path(folder) / "venv"
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", VERSION], check=True)
        with HubSpotUsers(*people(range(1, 3))) as hubspot:
            hubspot.token = Anything()
            settings = {
                "HUBSPOT_CLIENT_SECRET": "x",
                "DATABASE_URL": database,
                "ENCRYPTION_KEYS": KEY,
                "ADMIN_TOKENS": TOKEN,
                "HUBSPOT_API_BASE_URL": hubspot.url,
            }
            with serving(settings) as server:
                return fuzz(Path(folder), server.url, minutes)


def fuzz(folder: Path, url: str, minutes: float) -> int:
    """Ask until the time is over, with another seed each time; returns the exit status.

    Every other run asks for one account and one portal alone, which are then mostly there.
    """
    until, seed = time.monotonic() + minutes * 60, 0
    config = (ROOT / "tests" / "data" / "schemathesis.toml").read_text()
    known = folder / "known.toml", folder / "any.toml"
    known[0].write_text(KNOWN + config)
    known[1].write_text(config)
    (folder / "hooks.py").write_text(HOOKS)
    while time.monotonic() < until:
        seed += 1
        arguments = [
            "--config-file", str(known[seed % 2]), "run", f"{url}/api/v1/openapi.json",
            "--url", f"{url}/api/v1", "--header", f"Authorization: Bearer {TOKEN}",
            "--seed", str(seed), "--max-examples", "100", "--checks", "all",
        ]  # fmt: skip
        command = folder / "venv" / "bin" / "st"
        environ = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(folder)}
        done = subprocess.run(
            [command, *arguments],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout)
            return done.returncode
        print(f"seed {seed}:", *re.findall(r"\d+ generated", done.stdout), flush=True)
    print("Nothing failed.")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10))
