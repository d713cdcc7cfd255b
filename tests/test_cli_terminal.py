"""The commands on a terminal: Ctrl-C, colours, completion, and a reader that goes away."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from providers.testing.carrier import Carrier, Reply, hang
from tests.support.commands import flask
from tests.support.server import ROOT, environ

HEED_SIGINT = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    " os.execv(sys.argv[1], sys.argv[1:])"
)
"""A shell has what it runs in the background ignore SIGINT, and so has whoever runs the tests."""

FLASK = str(Path(sys.executable).parent / "flask")
DESK = '[accounts.desk]\nprovider = "static"\nnumbers = [{ number = "+12025550143" }]\n'
SETTINGS = {
    "HUBSPOT_CLIENT_SECRET": "a-secret-of-tests",
    "DIRECTORY_TOML": f'{DESK}[portals.62515]\naccounts = ["desk"]\n',
    "FLASK_SKIP_DOTENV": "1",
}


def telnyx(url: str) -> dict[str, str]:
    account = f'[accounts.us]\nprovider = "telnyx"\napi_key = "a-key"\nbase_url = "{url}"\n'
    directory = account + '[portals.62515]\naccounts = ["us"]\n'
    return SETTINGS | {
        "DIRECTORY_TOML": directory,
        "TELNYX_API_KEY": "a-key",
        "TELNYX_BASE_URL": url,
        "LOOKUP_DEADLINE": "25",
    }


@pytest.mark.parametrize(
    "command",
    [
        ("check",),
        ("providers", "try", "telnyx"),
        ("numbers", "--portal-id", "62515", "--user-id", "1"),
    ],
)
def test_ctrl_c_ends_a_command_at_once(command: tuple[str, ...]) -> None:
    with Carrier(lambda _: hang) as carrier:
        process = subprocess.Popen(
            [sys.executable, "-c", HEED_SIGINT, FLASK, *command],
            cwd=ROOT,
            env=environ(telnyx(carrier.url)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(1500):
            if carrier.asked:
                break
            time.sleep(0.02)
        assert carrier.asked
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, errors = process.communicate(timeout=20)
        assert time.monotonic() - began < 3
        assert process.returncode == 130
        assert "Traceback" not in errors


def on_terminal(arguments: list[str], settings: dict[str, str]) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [FLASK, *arguments], cwd=ROOT, env=environ(settings), stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            read = os.read(ours, 4096)
        except OSError:  # Linux, once nobody has the other end
            break
        if not read:
            break
        shown += read
    process.wait(30)
    os.close(ours)
    return shown.decode()


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_are_for_terminals_that_want_them(no_color: str, coloured: bool) -> None:
    settings = SETTINGS | {"NO_COLOR": no_color, "TERM": "xterm"}
    shown = on_terminal(["check", "--offline"], settings)
    assert "settings: all there" in shown
    assert ("\x1b[" in shown) is coloured
    assert "\x1b[" not in flask(settings, "check", "--offline").stdout


def test_what_takes_long_shows_how_far_it_is() -> None:
    def answer(_: object) -> Reply:
        time.sleep(1.6)
        return Reply({"data": [], "meta": {"total_pages": 1, "total_results": 0}})

    with Carrier(answer) as carrier:
        shown = on_terminal(["providers", "try", "telnyx"], telnyx(carrier.url))
    assert "telnyx: 0 numbers, page 0, 1 s" in shown
    assert "0 numbers, 0 of them usable" in shown


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("flask ", {"check", "numbers", "webhook", "providers", "channel-connection"}),
        ("flask check --", {"--offline", "--portal-id", "--quiet", "--json"}),
        ("flask webhook ", {"send", "explain"}),
        ("flask channel-connection delete --", {"--yes", "--json"}),
    ],
)
@pytest.mark.parametrize("settings", [{}, SETTINGS])
def test_completion_knows_all_without_settings(
    words: str, expected: set[str], settings: dict[str, str]
) -> None:
    typed = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - (words[-1] != " "))}
    done = flask({**settings, **typed, "_FLASK_COMPLETE": "bash_complete"})
    assert done.stderr == ""
    assert expected <= {line.partition(",")[2] for line in done.stdout.splitlines()}


def test_the_wheels_own_command_is_completed_too() -> None:
    typed = {"COMP_WORDS": "helpdesk-numbers ", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "from helpdesk_numbers.serve import main; main()"],
        cwd=ROOT,
        env=environ({**typed, "_HELPDESK_NUMBERS_COMPLETE": "bash_complete"}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert {"plain,check", "plain,numbers"} <= set(done.stdout.splitlines())


@pytest.mark.parametrize("command", ["check --offline", "providers", "check --offline --json"])
def test_a_full_disk_is_told_in_a_line(command: str) -> None:
    ran = subprocess.run(
        ["sh", "-c", f"{FLASK} {command} > /dev/full"],
        cwd=ROOT,
        env=environ(SETTINGS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[0] == (
        "Error: what it says cannot be written: No space left on device"
    )
    assert "Traceback" not in ran.stderr


def test_a_reader_that_goes_away_is_no_fault() -> None:
    ran = subprocess.run(
        ["sh", "-c", f"{FLASK} check --offline | head -n 1"],
        cwd=ROOT,
        env=environ(SETTINGS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == ""
    assert "settings" in ran.stdout
