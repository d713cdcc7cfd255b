"""`flask providers`: the list, and a try."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.testing.carrier import Asked, Carrier, Reply, hang
from tests.support.commands import flask, here
from tests.support.server import ROOT, environ

KEY = "KEY-not-a-real-one"
LISTED = [
    {"phone_number": "+12025550143", "status": "active"},
    {"phone_number": "+12025550144", "status": "port-pending"},
    {"phone_number": "nonsense", "status": "active"},
]


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    def answer(asked: Asked) -> Reply:
        if asked.headers["Authorization"] != f"Bearer {KEY}":
            return Reply({"error": "who are you"}, 401)
        return Reply({"data": LISTED, "meta": {"total_pages": 1}})

    with Carrier(answer) as carrier:
        yield carrier


def telnyx(carrier: Carrier, **more: str) -> dict[str, str]:
    return {"TELNYX_BASE_URL": carrier.url, "TELNYX_API_KEY": KEY, **more}


# try


def test_try_lists_the_numbers_and_which_are_usable(carrier: Carrier) -> None:
    done = here(telnyx(carrier), "providers", "try", "telnyx")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [re.split(r"\s{2,}", line) for line in done.stdout.splitlines()]
    assert ["+12025550143", "usable"] in rows
    assert ["+12025550144", "cannot take calls"] in rows
    assert ["nonsense", "not a phone number"] in rows
    assert done.stdout.endswith("3 numbers, 1 of them usable\n")


def test_try_prints_data(carrier: Carrier) -> None:
    done = here(telnyx(carrier), "providers", "try", "telnyx", "--json")
    data = json.loads(done.stdout)
    assert (data["provider"], data["error"]) == ("telnyx", None)
    assert [(one["number"], one["usable"]) for one in data["numbers"]] == [
        ("+12025550143", True), ("+12025550144", False), ("nonsense", False),
    ]  # fmt: skip


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_refusal_is_told_with_what_to_do(carrier: Carrier, as_json: tuple[str, ...]) -> None:
    settings = telnyx(carrier, TELNYX_API_KEY="another-secret")
    done = here(settings, "providers", "try", "telnyx", *as_json)
    assert done.returncode == 1
    shown = done.stdout + done.stderr
    assert "answered 401" in shown
    assert "another-secret" not in shown
    assert "Traceback" not in shown
    if as_json:
        assert json.loads(done.stdout)["error"]["outcome"] == "refused"
    else:
        assert "telnyx: refused: answered 401\n  → check the credentials" in done.stderr


def test_a_carrier_that_asks_to_wait_is_quoted(carrier: Carrier) -> None:
    carrier.answer = lambda _: Reply({}, 429, {"Retry-After": "7"})
    done = here(telnyx(carrier), "providers", "try", "telnyx")
    assert done.returncode == 1
    assert "rate_limited: answered 429, try again in 7 s" in done.stderr


def test_a_silent_carrier_is_given_up_at_the_deadline(carrier: Carrier) -> None:
    carrier.answer = lambda _: hang
    started = time.monotonic()
    done = here(telnyx(carrier), "providers", "try", "telnyx", "--deadline", "0.3")
    assert done.returncode == 1
    assert "telnyx: unreachable: no whole answer in time" in done.stderr
    assert time.monotonic() - started < 5


def third_party(folder: Path, module: str) -> dict[str, str]:
    """The settings in which `slow`, as pip installs it, is there."""
    (folder / "slow.py").write_text(module)
    info = folder / "slow-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[helpdesk_numbers.providers]\nslow = slow:Slow\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def test_an_adapter_that_keeps_no_deadline_is_given_up_too(tmp_path: Path) -> None:
    module = (
        "import time\nfrom providers import Provider\n"
        "class Slow(Provider):\n    name = 'slow'\n"
        "    def list_numbers(self, query):\n        time.sleep(60)\n"
    )
    started = time.monotonic()
    done = flask(third_party(tmp_path, module), "providers", "try", "slow", "--deadline", "0.3")
    assert (done.returncode, "slow: unreachable: no answer in time" in done.stderr) == (1, True)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("raise RuntimeError('a-secret')", "slow cannot be loaded: RuntimeError"),
        (
            "from providers import Provider\nclass Slow(Provider):\n    name = 'slow'\n"
            "    def __init__(self, *_): raise RuntimeError('a-secret')\n",
            "slow does not accept these options: RuntimeError",
        ),
    ],
)
def test_a_broken_adapter_is_told_by_its_error_s_kind(
    tmp_path: Path, module: str, said: str
) -> None:
    done = flask(third_party(tmp_path, module), "providers", "try", "slow")
    assert (done.returncode, said in done.stderr) == (1, True)
    assert "a-secret" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["telnix"], {}, "did you mean 'telnyx'?"),
        ([], {}, "Missing argument 'NAME'"),
        (["telnyx"], {}, "TELNYX_API_KEY: missing"),
        (["telnyx", "--deadline", "0"], {"TELNYX_API_KEY": KEY}, "--deadline"),
        (["telnyx"], {"TELNYX_API_KEY": KEY, "TELNYX_BASE_URL": "ftp:"}, "TELNYX_BASE_URL: "),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(
    arguments: list[str], settings: dict[str, str], said: str
) -> None:
    done = here(settings, "providers", "try", *arguments)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert KEY not in done.stderr


def test_answers_may_come_through_a_pipe(carrier: Carrier) -> None:
    settings = {"TELNYX_BASE_URL": carrier.url, "TELNYX_API_KEY": ""}
    done = flask(settings, "providers", "try", "telnyx", "--json", stdin=f"{KEY}\n")
    assert len(json.loads(done.stdout)["numbers"]) == 3


def test_question_that_nobody_answers_ends_its_line() -> None:
    done = flask({}, "providers", "try", "static")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert "STATIC_NUMBERS (" in lines[0]
    assert "Usage:" not in lines[0]


def test_one_number_is_a_number() -> None:
    settings = {"STATIC_NUMBERS": '[{"number": "+12025550143"}]'}
    done = here(settings, "providers", "try", "static")
    assert done.stdout.endswith("\n1 number, 1 of them usable\n")


def test_questions_are_not_among_the_data() -> None:
    with Carrier(lambda _: Reply({"incoming_phone_numbers": []})) as carrier:
        settings = {"TWILIO_BASE_URL": carrier.url, "TWILIO_AUTH_TOKEN": "a-token-of-tests"}
        typed = "AC00000000000000000000000000000000\n"
        done = here(settings, "providers", "try", "twilio", "--json", stdin=typed)
    assert json.loads(done.stdout)["numbers"] == []
    assert "TWILIO_ACCOUNT_SID" in done.stderr


def test_national_numbers_are_read_by_the_account_s_country() -> None:
    numbers = '[{"number": "(202) 555-0143"}]'
    settings = {"STATIC_COUNTRY": "US", "STATIC_NUMBERS": numbers}
    done = here(settings, "providers", "try", "static", "--json")
    assert [one["number"] for one in json.loads(done.stdout)["numbers"]] == ["+12025550143"]


def on_a_terminal(arguments: list[str], settings: dict[str, str], answers: dict[str, str]) -> str:
    """All that a terminal shows when each question (its first words) is given its answer."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLED, "providers", *arguments],
        cwd=ROOT,
        env=environ({"FLASK_SKIP_DOTENV": "1", **settings}),
        stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown, left = "", dict(answers)
    try:
        while select.select([ours], [], [], 30)[0]:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # Linux: the other end is closed
                break
            if not chunk:
                break
            shown += chunk.decode()
            for question in [q for q in left if re.search(rf"{q}.*: $", shown)]:
                os.write(ours, f"{left.pop(question)}\n".encode())
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert not left, f"never asked: {left}\n{shown}"
    return shown


# getpass speaks to the controlling terminal, which the child has to take first.
CONTROLLED = (
    "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "from flask.cli import main; sys.argv[0] = 'flask'; main()"
)


def test_a_missing_secret_is_asked_for_without_echo(carrier: Carrier) -> None:
    settings = {"TELNYX_BASE_URL": carrier.url}
    shown = on_a_terminal(["try", "telnyx"], settings, {"TELNYX_API_KEY": KEY})
    assert "API v2 key" in shown, "its meaning"
    assert "3 numbers, 1 of them usable" in shown
    assert KEY not in shown


def test_options_that_need_each_other_are_asked_for() -> None:
    def answer(_: Asked) -> Reply:
        return Reply({"incoming_phone_numbers": [], "next_page_uri": None})

    with Carrier(answer) as carrier:
        answers = {
            "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000000",
            "TWILIO_AUTH_TOKEN": "a-token-of-tests",
        }
        shown = on_a_terminal(["try", "twilio"], {"TWILIO_BASE_URL": carrier.url}, answers)
    assert "0 numbers, 0 of them usable" in shown
    assert answers["TWILIO_ACCOUNT_SID"] in shown, "what is no secret is seen while typed"
    assert "a-token-of-tests" not in shown


def names(shown: str) -> list[Any]:
    return [line for line in shown.splitlines() if re.fullmatch(r"[a-z_]+", line)]


def test_every_option_has_its_meaning() -> None:
    listed = json.loads(here({}, "providers", "--json").stdout)
    assert not [o["variable"] for one in listed for o in one["options"] if not o["help"]]


def test_the_bare_command_lists_the_providers() -> None:
    done = here({}, "providers")
    assert done.returncode == 0
    listed = [one["provider"] for one in json.loads(here({}, "providers", "--json").stdout)]
    assert names(done.stdout) == listed
    assert "twilio" in listed
