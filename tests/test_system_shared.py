"""Two workers of a real server share the last good answer, and leave nothing behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpdesk_numbers.scratch import PREFIX
from providers.testing.carrier import Carrier
from tests.support.asking import SECRET, ask_server
from tests.support.carrier import says, twilio_settings
from tests.support.server import Server, serving

SETTINGS = {"HUBSPOT_CLIENT_SECRET": SECRET, "WEB_CONCURRENCY": "2", "LOOKUP_DEADLINE": "2"}

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc and /dev/shm")


def folders(server: Server) -> set[Path]:
    """Those whose lock the server holds."""
    held = {Path(os.readlink(fd)) for fd in Path(f"/proc/{server.process.pid}/fd").iterdir()}
    return {path.parent for path in held if path.parent.name.startswith(PREFIX)}


def source(server_url: str) -> tuple[int, str | None]:
    """By a connection of its own, so that either worker may answer."""
    answer = ask_server(server_url, headers={"Connection": "close"})
    return answer.status_code, answer.headers.get("Numbers-Source")


@linux
def test_an_answer_of_one_worker_stands_in_for_both(carrier: Carrier, twilio: object) -> None:
    with serving(SETTINGS | twilio_settings(carrier.url)) as server:
        assert source(server.url) == (200, "live")
        time.sleep(0.5)
        carrier.answer = says(b"", 500)
        assert {source(server.url) for _ in range(200)} == {(200, "last-known-good")}
        (folder,) = folders(server)
        assert folder.exists()
    assert not folder.exists()


def test_a_refusal_of_one_worker_ends_it_for_both(carrier: Carrier, twilio: object) -> None:
    with serving(SETTINGS | twilio_settings(carrier.url)) as server:
        assert source(server.url) == (200, "live")
        time.sleep(0.5)
        carrier.answer = says(b"", 401)
        assert source(server.url)[0] == 502
        carrier.answer = says(b"", 500)
        assert {source(server.url)[0] for _ in range(40)} <= {502, 503}


@linux
def test_zero_makes_no_file(carrier: Carrier, twilio: object) -> None:
    with serving(SETTINGS | {"LAST_KNOWN_GOOD": "0"} | twilio_settings(carrier.url)) as server:
        assert source(server.url) == (200, "live")
        assert not folders(server)


@linux
def test_a_shm_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    """In a mount namespace of its own, where there are such."""
    code = "import helpdesk_numbers.scratch as s; print(s.memory_folder())"
    shell = f'mount -t tmpfs -o ro none /dev/shm && "{sys.executable}" -c "{code}"'
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", shell], capture_output=True, text=True, check=False
    )
    if "None" not in ran.stdout and ("permitted" in ran.stderr or "denied" in ran.stderr):
        pytest.skip("no namespaces here")
    assert ran.stdout.strip() == "None", ran.stderr
