"""What stops the service from starting, and how that is said."""

import subprocess
import sys

import pytest

from app import create_app
from helpdesk_numbers.settings import ConfigurationError
from tests.support.carrier import twilio_account
from tests.support.commands import here
from tests.support.server import ROOT


def faults(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        create_app(environ)
    for fault in caught.value.faults:
        assert fault in caught.value.message
    return caught.value.faults


def test_start_without_settings_names_all_that_are_required() -> None:
    names = [fault.partition(":")[0] for fault in faults({})]
    assert names == ["HUBSPOT_CLIENT_SECRET", "DIRECTORY"]


@pytest.mark.parametrize("secret", ["", " ", ",", " , ", "[]", '[""]', '["good", " "]'])
def test_start_without_a_secret_is_none(environ: dict[str, str], secret: str) -> None:
    """An empty one would let anybody sign."""
    [fault] = faults(environ | {"HUBSPOT_CLIENT_SECRET": secret})
    missing = "missing; without it, no request can be proven to be HubSpot's"
    assert fault == f"HUBSPOT_CLIENT_SECRET: {missing}"


@pytest.mark.parametrize("secret", ["pat-na1-x", "good, pat-na1-x", '["pat-na1-x"]'])
def test_access_token_in_the_secrets_place_is_refused(environ: dict[str, str], secret: str) -> None:
    [fault] = faults(environ | {"HUBSPOT_CLIENT_SECRET": secret})
    assert "access token" in fault
    assert "pat-" not in fault


def test_directory_in_two_places_is_refused(environ: dict[str, str]) -> None:
    [fault] = faults(environ | {"DIRECTORY": "directory.toml"})
    assert fault.startswith("DIRECTORY_TOML: not together with DIRECTORY")


MALFORMED = {
    "HUBSPOT_CLIENT_SECRET": " , ",
    "HUBSPOT_APP_ID": "0",
    "HUBSPOT_SIGNATURE_VERSIONS": "v3,v4",
    "PUBLIC_URL": "numbers.example.com",
    "TRUSTED_PROXIES": "-1",
    "HUBSPOT_API_VERSION": "v9",
    "HUBSPOT_API_BASE_URL": "ftp://x",
    "HUBSPOT_PORTAL_IDS": "62515,abc",
    "LOOKUP_DEADLINE": "soon",
    "LAST_KNOWN_GOOD": "-1",
    "LOG_FORMAT": "xml",
    "LOG_LEVEL": "loud",
    "PORT": "99999",
    "WEB_CONCURRENCY": "0",
    "WEB_THREADS": "many",
}


@pytest.mark.parametrize(("name", "value"), MALFORMED.items())
def test_malformed_setting_stops_the_start(environ: dict[str, str], name: str, value: str) -> None:
    [fault] = faults(environ | {name: value})
    assert setting_of(fault) == name


def setting_of(fault: str) -> str:
    return fault.partition(":")[0].partition("[")[0]


def test_all_malformed_settings_are_named_at_once(environ: dict[str, str]) -> None:
    found = [setting_of(fault) for fault in faults(environ | MALFORMED)]
    assert sorted(found) == sorted(MALFORMED)


def test_one_account_mode_names_what_it_lacks(environ: dict[str, str]) -> None:
    del environ["DIRECTORY_TOML"]
    text = "\n".join(faults(environ | {"PROVIDER": "twilio"}))
    assert "TWILIO_ACCOUNT_SID" in text
    assert "HUBSPOT_PORTAL_IDS" in text


FAULTY = twilio_account("acme", "no URL")
SECRETS = {
    "HUBSPOT_CLIENT_SECRET": "pat-na1-not-a-real-token",
    "HUBSPOT_ACCESS_TOKEN": "not-a-real-access-token",
    "HUBSPOT_DEVELOPER_API_KEY": "not-a-real-api-key",
    "TWILIO_AUTH_TOKEN": "not-a-real-auth-token",
    "TWILIO_API_SECRET": "not-a-real-api-secret",
}


def test_faults_show_no_secret(environ: dict[str, str]) -> None:
    for change in ({}, {"DIRECTORY_TOML": "", "PROVIDER": "twilio"}, {"DIRECTORY_TOML": FAULTY}):
        text = "\n".join(faults(environ | SECRETS | {"PORT": "x"} | change))
        assert "HUBSPOT_CLIENT_SECRET" in text
        assert not [value for value in SECRETS.values() if value in text]


@pytest.mark.parametrize(
    ("directory", "said"),
    [
        ({"DIRECTORY_TOML": "x"}, "DIRECTORY_TOML is not TOML: "),
        ({"DIRECTORY_TOML": "[accounts.a]\n[portals.1]\naccounts = []"}, "accounts.a.provider: "),
        ({"DIRECTORY_TOML": "", "DIRECTORY": "no-such.toml"}, "no-such.toml: cannot be read"),
    ],
)
def test_faults_of_the_directory_are_told_beside_those_of_the_settings(
    environ: dict[str, str], directory: dict[str, str], said: str
) -> None:
    found = faults(environ | {"HUBSPOT_CLIENT_SECRET": "", "PORT": "x"} | directory)
    assert [fault.partition(":")[0] for fault in found[:2]] == ["PORT", "HUBSPOT_CLIENT_SECRET"]
    assert found[2].startswith(said)


def test_one_account_mode_names_every_faulty_variable(environ: dict[str, str]) -> None:
    wrong = {"DIRECTORY_TOML": "", "PROVIDER": "twilio", "HUBSPOT_PORTAL_IDS": "a,b"}
    found = faults(environ | wrong)
    named = [fault.partition(":")[0] for fault in found]
    assert named == ["HUBSPOT_PORTAL_IDS[0]", "TWILIO_ACCOUNT_SID"]


def test_faults_of_the_directory_stop_the_start(environ: dict[str, str]) -> None:
    environ["DIRECTORY_TOML"] += "[portals.1]\naccounts = ['nobody']\n[portals.x]\naccounts = []\n"
    assert [fault.partition(":")[0] for fault in faults(environ)] == [
        "portals.1.accounts[0]", "portals.x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["HUBSPOT_CLIENT_SECRET", "HUBSPOT_PORTAL_IDS", "PROVIDER", "STATIC_NUMBERS", "DIRECTORY",
     "DIRECTORY_TOML", "PUBLIC_URL", "PORT", "LOG_FORMAT"],
)  # fmt: skip
def test_a_variable_that_is_not_utf8_is_a_fault_by_name(name: str) -> None:
    """Python has a surrogate for each byte that it could not decode."""
    settings = {
        "HUBSPOT_CLIENT_SECRET": "x",
        "PROVIDER": "static",
        "STATIC_NUMBERS": '[{"number": "+12025550143"}]',
        "HUBSPOT_PORTAL_IDS": "62515",
    }
    text = b"62\xff515".decode("utf-8", "surrogateescape")
    assert faults({**settings, name: text}) == (f"{name}: not UTF-8",)
    checked = here({**settings, name: text}, "check", "--offline")
    assert f"✗ settings: {name}: not UTF-8\n" in checked.stdout
    assert "the check itself failed" not in checked.stdout


def test_a_variable_that_the_directory_names_has_to_be_utf8_too(environ: dict[str, str]) -> None:
    account = twilio_account("acme", "https://x.example").replace("token-of-acme", "env:TOKEN")
    environ["DIRECTORY_TOML"] = account + '[portals.1]\naccounts = ["acme"]\n'
    [fault] = faults({**environ, "TOKEN": "a\udcffb"})
    assert fault == "accounts.acme.auth_token: the environment variable TOKEN is not UTF-8"


def test_what_is_not_turned_on_is_not_imported() -> None:
    """What asks HubSpot, databases, Redis, the management API and the install."""
    code = """
import re, sys
from app import create_app
text = '[accounts.a]\\nprovider = "static"\\nnumbers = []\\n[portals.1]\\naccounts = ["a"]'
create_app({"HUBSPOT_CLIENT_SECRET": "x", "DIRECTORY_TOML": text})
others = "requests|sqlalchemy|alembic|psycopg|cryptography|redis"
off = re.compile(others + "|helpdesk_numbers[.](users|database|api|install)[.]")
print(sorted(filter(off.match, sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
