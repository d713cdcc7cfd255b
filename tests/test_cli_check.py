"""`flask check`, against a HubSpot, carriers and services that are right or wrong on purpose."""

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from helpdesk_numbers.cli import checks
from helpdesk_numbers.webhook import PATH
from providers.testing.carrier import Answer, Carrier, Reply, hang
from tests.support.carrier import TwilioAPI, can_take_calls, says, twilio_numbers
from tests.support.commands import flask, here
from tests.support.https import HOST, https
from tests.support.hubspot_api import APP_ID, EXPIRED, HTML, KEY, HubSpotAPI
from tests.support.postgres import KEY as ENCRYPTION_KEY
from tests.support.server import Server, serving
from tests.test_cli_providers import third_party

SECRET = "a-secret-of-tests"
SID = "AC00000000000000000000000000000000"
TWILIO_TOKEN = "a-carriers-token-of-tests"
BASE = f"https://{HOST}"
DIRECTORY = """
[accounts.desk]
provider = "static"
numbers = [
    { number = "+12025550143", name = "Front desk", owners = ["anna@acme.example"] },
    { number = "+12025550144", name = "Fax", voice = false },
]
[portals.62515]
accounts = ["desk"]
[portals.62515.user.1001]
names = ["Front*"]
"""
SETTINGS = {"HUBSPOT_CLIENT_SECRET": SECRET, "DIRECTORY_TOML": DIRECTORY}
SECRETS = (SECRET, KEY, TWILIO_TOKEN, EXPIRED)

Findings = dict[str, dict[str, Any]]


def check(settings: dict[str, str], *arguments: str) -> Findings:
    """What `flask check --json` found, by name."""
    done = here(settings, "check", "--json", *arguments)
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)
    found = json.loads(done.stdout)
    wrong = [one for one in found if one["ok"] is False]
    assert done.returncode == (1 if wrong else 0)
    assert all(one["remedy"] for one in wrong), "whatever is wrong has a remedy"
    assert not any(one["remedy"] for one in found if one["ok"])
    named = [one["check"] for one in found if one["check"] not in ("settings", "directory")]
    assert len(named) == len(set(named))
    return {one["check"]: one for one in found}


def at_hubspot(api: HubSpotAPI) -> dict[str, str]:
    return SETTINGS | {
        "HUBSPOT_APP_ID": str(APP_ID),
        "HUBSPOT_DEVELOPER_API_KEY": KEY,
        "HUBSPOT_API_BASE_URL": api.url,
    }


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    more = {"PUBLIC_URL": BASE, "HUBSPOT_APP_ID": str(APP_ID)}
    with serving(SETTINGS | more) as running:
        yield running


def test_the_only_portals_token_has_no_effect_with_a_database(tmp_path: Path) -> None:
    settings = {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "DATABASE_URL": f"sqlite:///{tmp_path}/numbers.db",
        "ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "HUBSPOT_PORTAL_TOKEN": EXPIRED,
    }
    found = check(settings, "--offline")["settings"]
    assert found["ok"] is None
    assert "HUBSPOT_PORTAL_TOKEN has no effect" in found["text"]
    in_force = check(SETTINGS | {"HUBSPOT_PORTAL_TOKEN": EXPIRED}, "--offline")["settings"]
    assert in_force["ok"] is True


def test_all_is_well_when_all_is_well(api: HubSpotAPI, service: Server, certificate: Path) -> None:
    api.register(BASE + PATH, is_ready=True)
    with https(certificate, service.url) as front:
        done = flask(at_hubspot(api) | {"PUBLIC_URL": BASE} | front.environ, "check")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line[0] for line in lines if line][:-1] == ["✓"] * 10
    assert lines[-1] == "Nothing wrong."
    assert "✓ account desk: static: 2 numbers, 1 can take calls" in done.stdout
    assert f"✓ registration: {BASE}{PATH}" in done.stdout
    assert not any(secret in done.stdout for secret in SECRETS)


def test_each_fault_has_a_line_and_a_remedy() -> None:
    done = here(SETTINGS, "check", "--offline")
    assert done.returncode == 0
    assert "– clock: left out: --offline" in done.stdout
    assert "Nothing wrong, 4 left out." in done.stdout
    done = here(SETTINGS | {"HUBSPOT_CLIENT_SECRET": ""}, "check", "--offline")
    assert done.returncode == 1
    assert "✗ settings: HUBSPOT_CLIENT_SECRET: missing" in done.stdout
    assert "\n  → correct it in .env" in done.stdout
    assert "1 wrong" in done.stdout
    assert "Traceback" not in done.stderr


def test_offline_asks_nobody(api: HubSpotAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[object] = []

    def call(*arguments: object) -> None:
        called.append(arguments)
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, call)
    monkeypatch.setattr(socket, "getaddrinfo", call)
    toml = DIRECTORY.replace(
        "[portals.62515]\n",
        f'[accounts.us]\nprovider = "twilio"\naccount_sid = "{SID}"\n'
        f'auth_token = "{TWILIO_TOKEN}"\n[portals.62515]\n',
    )
    settings = at_hubspot(api) | {"DIRECTORY_TOML": toml, "PUBLIC_URL": BASE}
    found = check(settings, "--offline")
    assert not called
    for name in ("account us", "clock", "public URL", "registration", "calling settings"):
        assert found[name]["ok"] is None
        assert "--offline" in found[name]["text"]
    assert found["account desk"]["ok"] is True
    check(settings)
    assert called, "online it does ask"


@pytest.mark.parametrize("offline", [["--offline"], []])
def test_malformed_setting_is_named_and_everything_else_left_out(offline: list[str]) -> None:
    found = check(SETTINGS | {"LOOKUP_DEADLINE": "soon"}, *offline)
    assert found["settings"]["text"].startswith("LOOKUP_DEADLINE: ")
    assert found["everything else"]["ok"] is None


def test_every_faulty_setting_is_named() -> None:
    done = here({"PROVIDER": "twilio", "PORT": "x"}, "check", "--offline", "--json")
    texts = [one["text"] for one in json.loads(done.stdout) if one["ok"] is False]
    for name in ("PORT", "HUBSPOT_CLIENT_SECRET", "HUBSPOT_PORTAL_IDS", "TWILIO_ACCOUNT_SID"):
        assert any(text.startswith(f"{name}: ") for text in texts)


def test_missing_secret_does_not_keep_the_rest_from_being_checked(api: HubSpotAPI) -> None:
    found = check(at_hubspot(api) | {"HUBSPOT_CLIENT_SECRET": ""})
    assert found["settings"]["ok"] is False
    assert found["directory"]["ok"] is None
    assert found["clock"]["ok"] is True
    assert found["registration"]["text"] == "there is none"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"HUBSPOT_CLIENT_SECRET": "pat-na1-of-tests"}, "access token"),
        ({"HUBSPOT_DEVELOPER_API_KEY": SECRET}, "HUBSPOT_DEVELOPER_API_KEY"),
        ({"HUBSPOT_ACCESS_TOKEN": SECRET}, "HUBSPOT_ACCESS_TOKEN"),
    ],
)
def test_implausible_secret_is_pointed_out(more: dict[str, str], said: str) -> None:
    found = check(SETTINGS | more, "--offline")
    finding = found.get("client secret", found["settings"])
    assert finding["ok"] is False
    assert said in finding["text"]


def test_directory_faults_are_named_by_place() -> None:
    toml = DIRECTORY.replace('["desk"]', '["desk", "dask"]').replace("names", "nmes")
    done = here(SETTINGS | {"DIRECTORY_TOML": toml}, "check", "--offline", "--json")
    assert done.returncode == 1
    wrong = [one for one in json.loads(done.stdout) if one["ok"] is False]
    assert {one["check"] for one in wrong} == {"directory"}
    texts = [one["text"] for one in wrong]
    assert "portals.62515.accounts[1]: no account 'dask' (did you mean 'desk'?)" in texts
    assert any(text.startswith("portals.62515.user.1001.nmes: ") for text in texts)


def test_missing_directory_file_is_named() -> None:
    settings = SETTINGS | {"DIRECTORY": "nowhere.toml", "DIRECTORY_TOML": ""}
    assert "nowhere.toml: cannot be read" in check(settings, "--offline")["directory"]["text"]


@pytest.mark.parametrize(
    ("more", "remedy"),
    [
        ({"DIRECTORY": "nowhere.toml", "DIRECTORY_TOML": ""}, "correct DIRECTORY"),
        ({"DIRECTORY_TOML": "["}, "toml.io"),
        ({"DIRECTORY_TOML": DIRECTORY.replace('"Fax"', '"env:NO_NAME"')}, "after env:"),
        ({"DIRECTORY_TOML": DIRECTORY.replace("static", "sttic")}, "docs/directory.md"),
    ],
)
@pytest.mark.parametrize("secret", [SECRET, "", "pat-na1-of-tests"])
def test_fault_of_the_directory_has_its_own_remedy_whatever_else_is_wrong(
    more: dict[str, str], remedy: str, secret: str
) -> None:
    found = check(SETTINGS | {"HUBSPOT_CLIENT_SECRET": secret} | more, "--offline")
    assert remedy in found["directory"]["remedy"]


def test_variable_that_nothing_reads_is_pointed_out() -> None:
    settings = {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "HUBSPOT_SIGNATURE_VERSION": "v2",
        "HUBSPOT_PORTAL_IDS": "62515",
        "PROVIDER": "static",
        "STATIC_NUMBERS": '[{"number": "+12025550143"}]',
        "STATIC_CUONTRY": "US",
        "STATIC_SITE": "another program's",
        "TWILIO_REGON": "another provider's",
    }
    done = here(settings, "check", "--offline", "--json")
    assert done.returncode == 0, "it may be another program's"
    findings = [one for one in json.loads(done.stdout) if "nothing reads" in one["text"]]
    assert [(one["ok"], one["text"]) for one in findings] == [
        (None, "nothing reads HUBSPOT_SIGNATURE_VERSION"
         " (did you mean HUBSPOT_SIGNATURE_VERSIONS?)"),
        (None, "nothing reads STATIC_CUONTRY (did you mean STATIC_COUNTRY?)"),
        (None, "nothing reads STATIC_SITE"),
    ]  # fmt: skip


def test_account_that_is_called_like_its_provider_is_not_named_twice() -> None:
    settings = {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "HUBSPOT_PORTAL_IDS": "62515",
        "PROVIDER": "static",
        "STATIC_NUMBERS": '[{"number": "+12025550143"}]',
    }
    text = check(settings, "--offline")["account static"]["text"]
    assert text.startswith("1 number, 1 can take calls")


def test_portal_without_accounts_is_pointed_out() -> None:
    toml = DIRECTORY + "[portals.5]\naccounts = []\n"
    finding = check(SETTINGS | {"DIRECTORY_TOML": toml}, "--offline")["portals.5"]
    assert (finding["ok"], finding["text"]) == (None, "no accounts, so nobody sees a number")


def test_letters_stay_letters_in_json() -> None:
    done = here(SETTINGS | {"DIRECTORY_TOML": '[accounts."Zürich"]'}, "check", "--json")
    assert "accounts.Zürich.provider: missing" in done.stdout


def test_rule_that_matches_nothing_is_pointed_out_by_place() -> None:
    toml = DIRECTORY + (
        '[portals.62515.user.1002]\nnumbers = ["+12025550143", "+12025550144", "+12025550199"]\n'
        '[portals.62515.user.1003]\nnames = ["Front*", "Sales"]\nowner = "bob@acme.example"\n'
        '[portals.62515.user.1004]\nowner = "Anna@acme.example"\naccounts = ["desk"]\n'
    )
    done = here(SETTINGS | {"DIRECTORY_TOML": toml}, "check", "--offline", "--json")
    wrong = [one["check"] for one in json.loads(done.stdout) if one["ok"] is False]
    assert wrong == [
        "portals.62515.user.1002.numbers[1]",  # takes no calls
        "portals.62515.user.1002.numbers[2]",
        "portals.62515.user.1003.names[1]",
        "portals.62515.user.1003.owner",
    ]
    assert "555" not in done.stdout, "no phone number"


def twilio(url: str, more: str = "") -> dict[str, str]:
    toml = (
        f'[accounts.us]\nprovider = "twilio"\naccount_sid = "{SID}"\n'
        f'auth_token = "{TWILIO_TOKEN}"\nbase_url = "{url}"\n'
        f'[accounts.desk]\nprovider = "static"\nnumbers = [{{ number = "+12025550143" }}]\n'
        f'[portals.62515]\naccounts = ["us", "desk"]\n{more}'
    )
    return SETTINGS | {"DIRECTORY_TOML": toml}


def test_every_account_is_asked_once_and_named() -> None:
    twilios = TwilioAPI()
    twilios.add_account(SID, TWILIO_TOKEN, twilio_numbers(10))
    with Carrier(twilios) as carrier:
        found = check(twilio(carrier.url))
        assert len(carrier.asked) == 1
    assert found["account us"]["ok"] is True
    assert "twilio: 10 numbers, 7 can take calls" in found["account us"]["text"]
    assert found["account desk"]["ok"] is True
    assert found["directory"]["text"] == "2 accounts, 1 portal"


def test_what_is_no_phone_number_does_not_count() -> None:
    numbers = twilio_numbers(10)
    usable = next(number for number in numbers if can_take_calls(number))
    usable["phone_number"] = "nonsense"
    twilios = TwilioAPI()
    twilios.add_account(SID, TWILIO_TOKEN, numbers)
    with Carrier(twilios) as carrier:
        found = check(twilio(carrier.url))
    assert "twilio: 10 numbers, 6 can take calls" in found["account us"]["text"]


@pytest.mark.parametrize(
    ("answer", "said", "remedy"),
    [
        (TwilioAPI(), "answered 401 with code 20003", "credentials"),
        (says(HTML), "the answer cannot be read", "base_url"),
        (says({}, 429), "429", "limit"),
        (says({}, 429, Retry_After="77"), "answered 429, try again in 77 s", "limit"),
        (says(HTML, 503), "503", "status page"),
        (says({"incoming_phone_numbers": [], "next_page_uri": None}), "0 numbers", "buy a number"),
    ],
)
def test_account_that_fails_is_named_with_the_reason(
    answer: Answer, said: str, remedy: str
) -> None:
    rule = '[portals.62515.user.1]\nnames = ["Nobody"]\n'
    with Carrier(answer) as carrier:
        found = check(twilio(carrier.url, rule))
    finding = found["account us"]
    assert finding["ok"] is False
    assert said in finding["text"]
    assert remedy in finding["remedy"]
    assert found["account desk"]["ok"] is True
    if "numbers" not in said:
        assert found["rules"]["ok"] is None, "nobody can say whether its rules match"
        assert "portals.62515.user.1.names[0]" not in found


def test_account_that_needs_longer_than_a_lookup_has_is_wrong() -> None:
    twilios = TwilioAPI()
    twilios.add_account(SID, TWILIO_TOKEN, twilio_numbers(10))
    with Carrier(twilios) as carrier:
        found = check(twilio(carrier.url) | {"LOOKUP_DEADLINE": "0.000001"})
    assert found["account us"]["ok"] is False
    assert "LOOKUP_DEADLINE" in found["account us"]["text"]


def test_account_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "ACCOUNT_S", 0.3)
    with Carrier(lambda _: hang) as carrier:
        found = check(twilio(carrier.url))
    assert found["account us"]["text"] == "twilio: no whole answer in time"


def test_account_of_which_no_page_comes_is_given_up_before_the_whole_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "PAGE_S", 0.3)
    began = time.monotonic()
    with Carrier(lambda _: hang) as carrier:
        found = check(twilio(carrier.url))
    assert found["account us"]["text"] == "twilio: no whole answer in time"
    assert time.monotonic() - began < 10 < checks.ACCOUNT_S


def test_account_whose_pages_come_gets_more_than_a_page_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third_party(
        tmp_path,
        "import time\nfrom providers import PhoneNumber, Provider\n"
        "class Slow(Provider):\n    name = 'slow'\n"
        "    def ask(self, query):\n        for _ in range(6):\n"
        "            time.sleep(0.4)\n            query.progress.advance(1)\n"
        "        return [PhoneNumber('+12025550143')]\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(checks, "PAGE_S", 1.8)
    toml = DIRECTORY.replace("[portals", '[accounts.us]\nprovider = "slow"\n[portals', 1)
    try:
        found = check(SETTINGS | {"DIRECTORY_TOML": toml})
    finally:
        sys.modules.pop("slow")
    assert found["account us"]["ok"] is True


def test_account_whose_adapter_hangs_is_given_up_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third_party(
        tmp_path,
        "import threading\nfrom providers import Provider\nreleased = threading.Event()\n"
        "class Slow(Provider):\n    name = 'slow'\n"
        "    def list_numbers(self, query):\n        released.wait(60)\n        return []\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(checks, "ACCOUNT_S", 0.3)
    toml = DIRECTORY.replace("[portals", '[accounts.us]\nprovider = "slow"\n[portals', 1)
    started = time.monotonic()
    try:
        found = check(SETTINGS | {"DIRECTORY_TOML": toml})
    finally:
        sys.modules.pop("slow").released.set()
    assert time.monotonic() - started < 10
    assert found["account us"]["text"] == "slow: no answer in time"
    assert found["account desk"]["ok"] is True


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"http://{HOST}", "not https"),
        ("https://localhost:8000", "this machine"),
        ("https://192.168.1.2", "private network"),
        ("https://[1]", "not a URL"),
    ],
)
@pytest.mark.parametrize("offline", [["--offline"], []])
def test_public_url_that_hubspot_could_not_call_is_told(
    api: HubSpotAPI, url: str, said: str, offline: list[str]
) -> None:
    found = check(at_hubspot(api) | {"PUBLIC_URL": url}, *offline)
    assert found["public URL"]["ok"] is False
    assert said in found["public URL"]["text"]


def test_check_that_fails_itself_does_not_keep_the_others_from_theirs(
    api: HubSpotAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a text that may hold anything")

    monkeypatch.setattr(requests, "head", fail)
    found = check(at_hubspot(api))
    assert found["clock"]["text"] == "the check itself failed (RuntimeError)"
    assert found["registration"]["text"] == "there is none"


def test_public_url_that_is_not_set_is_told(api: HubSpotAPI) -> None:
    assert check(at_hubspot(api))["public URL"]["ok"] is False
    assert check(at_hubspot(api), "--offline")["public URL"]["ok"] is None


def reach(api: HubSpotAPI, url: str, certificate: Path, **more: str) -> Findings:
    with https(certificate, url) as front:
        return check(at_hubspot(api) | {"PUBLIC_URL": BASE} | front.environ | more)


def test_service_with_the_same_secret_is_recognised(
    api: HubSpotAPI, service: Server, certificate: Path
) -> None:
    found = reach(api, service.url, certificate)
    assert found["public URL"]["ok"] is True
    assert found["webhook"]["ok"] is True


def test_service_with_another_secret_or_app_is_told(
    api: HubSpotAPI, service: Server, certificate: Path
) -> None:
    found = reach(api, service.url, certificate, HUBSPOT_CLIENT_SECRET="another-of-tests")
    assert found["webhook"]["ok"] is False
    assert "answered with 401" in found["webhook"]["text"]
    assert "HUBSPOT_CLIENT_SECRET" in found["webhook"]["remedy"]
    assert "flask webhook explain --from-log" in found["webhook"]["remedy"]
    found = reach(api, service.url, certificate, HUBSPOT_APP_ID="1")
    assert "HUBSPOT_APP_ID" in found["webhook"]["remedy"]


OK = Reply({"status": "ok"})


@pytest.mark.parametrize(
    ("health", "webhook", "wrong", "said"),
    [
        (Reply(HTML), OK, "public URL", "another service"),
        (Reply(HTML, 404), OK, "public URL", "answers 404"),
        (OK, Reply(HTML), "webhook", "not by this service"),
        (OK, OK, "webhook", "not by this service"),
        (OK, Reply([7]), "webhook", "not by this service"),
        (OK, Reply({"phoneNumbers": "x"}), "webhook", "not by this service"),
        (OK, Reply(HTML, 401), "webhook", "401, and not by this service"),
        (OK, Reply(HTML, 404), "webhook", "404, and not by this service"),
        (OK, Reply(b"\xff", 302), "webhook", "302, and not by this service"),
        (OK, Reply({"category": "INTERNAL_ERROR"}, 500), "webhook", "answered with 500"),
    ],
)
def test_another_service_at_the_public_url_is_told(
    api: HubSpotAPI, certificate: Path, health: Reply, webhook: Reply, wrong: str, said: str
) -> None:
    with Carrier(lambda asked: health if asked.path == "/healthz" else webhook) as other:
        found = reach(api, other.url, certificate)
    assert found[wrong]["ok"] is False
    assert said in found[wrong]["text"]
