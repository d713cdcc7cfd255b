"""The install as the operator sees it: settings, /readyz, `flask check` and `flask portals`."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from app import create_app
from helpdesk_numbers.database.editing import editing
from helpdesk_numbers.database.tables import METADATA
from helpdesk_numbers.install.app import DAY_S, App
from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import ConfigurationError
from providers.testing.carrier import Reply
from tests.support.commands import here
from tests.support.hubspot_app import SECRET, HubSpotApp
from tests.support.installs import PORTAL, START, Desk, portals_with_the_app, settings_of
from tests.support.server import ROOT


@pytest.fixture
def hubspot() -> Iterator[HubSpotApp]:
    with HubSpotApp() as made:
        yield made


@pytest.fixture
def environ(tmp_path: Path, hubspot: HubSpotApp) -> dict[str, str]:
    return settings_of(f"sqlite:///{tmp_path}/numbers.db", hubspot.url)


@pytest.fixture
def desk(environ: dict[str, str], hubspot: HubSpotApp) -> Iterator[Desk]:
    made = Desk(environ["DATABASE_URL"], hubspot)
    yield made
    made.database.engine.dispose()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"DATABASE_URL": ""}, "HUBSPOT_CLIENT_ID: set DATABASE_URL too"),
        ({"DIRECTORY": "x.toml"}, "HUBSPOT_CLIENT_ID: unset DIRECTORY"),
        ({"PUBLIC_URL": ""}, "PUBLIC_URL: missing"),
        ({"HUBSPOT_SCOPES": "crm.objects.owners.read"}, "HUBSPOT_SCOPES: lacks oauth"),
    ],
)
def test_what_an_install_needs_is_missed_at_the_start(
    environ: dict[str, str], change: dict[str, str], fault: str
) -> None:
    given = {name: value for name, value in {**environ, **change}.items() if value}
    with pytest.raises(ConfigurationError) as raised:
        Service(given).directory  # noqa: B018
    assert any(line.startswith(fault) for line in raised.value.faults)


def test_check_says_whether_hubspot_takes_the_app(
    environ: dict[str, str], hubspot: HubSpotApp, desk: Desk
) -> None:
    good = {one["check"]: one for one in json.loads(here(environ, "check", "--json").stdout)}
    assert good["install"]["ok"] is True
    assert "https://numbers.example.com/hubspot/callback" in good["install"]["text"]
    hubspot.secrets = {"another"}
    (line,) = [
        line for line in here(environ, "check").stdout.splitlines() if line.startswith("✗ install")
    ]
    assert "HUBSPOT_CLIENT_SECRET" in line


def test_an_app_that_is_refused_shows_in_readyz_and_check(
    environ: dict[str, str], hubspot: HubSpotApp, desk: Desk
) -> None:
    app = create_app(environ)
    client, service = app.test_client(), app.extensions["helpdesk_numbers"]
    assert client.get("/readyz").status_code == 200
    desk.install(PORTAL)
    desk.clock.now += 1351
    hubspot.secrets = {"another"}
    desk.refresher().refresh_due()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json and answer.json["category"]) == (503, "APP_REFUSED")
    hubspot.secrets = {SECRET}
    assert "portals' tokens are not refreshed" in here(environ, "check").stdout
    desk.clock.now += 61
    desk.refresher().refresh_due()
    assert client.get("/readyz").status_code == 200
    service.close()


def test_portals_show_says_since_when_the_app_is_there(environ: dict[str, str], desk: Desk) -> None:
    desk.install(PORTAL)
    with editing(desk.database, "test") as editor:
        editor.put_portal(PORTAL, {"accounts": [], "users": "own"})
        editor.put_portal(7, {"accounts": [], "users": "none"})
    shown = json.loads(here(environ, "portals", "show", str(PORTAL), "--json").stdout)
    assert shown["install"]["state"] == "installed"
    assert shown["install"]["installedAt"] == "2027-01-15T08:00:00+00:00"
    assert (START, shown["install"]["tokenExpiresAt"]) == (1.8e9, "2027-01-15T08:30:00+00:00")
    said = here(environ, "portals", "show", str(PORTAL)).stdout
    assert "No account is connected: flask portals set 62515" in said
    assert "first" not in said
    listed = json.loads(here(environ, "portals", "list", "--json").stdout)
    assert [(one["portalId"], one["install"]) for one in listed] == [
        (7, None),
        (PORTAL, "installed"),
    ]


def test_a_portal_that_is_connected_keeps_what_new_portals_see(
    environ: dict[str, str], desk: Desk
) -> None:
    with editing(desk.database, "test") as editor:
        editor.put_account("desk", {"provider": "static", "numbers": [{"number": "+12025550143"}]})
        editor.put_portal(PORTAL, {"accounts": [], "users": "own"})
    assert here(environ, "portals", "set", str(PORTAL), "--account", "desk").returncode == 0
    shown = json.loads(here(environ, "portals", "show", str(PORTAL), "--json").stdout)
    assert (shown["accounts"], shown["users"]) == (["desk"], "own")


def test_what_installs_is_not_imported_where_there_is_no_client_id(
    environ: dict[str, str],
) -> None:
    del environ["HUBSPOT_CLIENT_ID"]
    script = (
        "import sys, threading\n"
        "from app import create_app\n"
        f"create_app({environ!r})\n"
        "names = [name for name in sys.modules if 'install' in name or name == 'hubspot.oauth']\n"
        "print(names, threading.active_count())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[] 1", done.stderr


def left_in(desk: Desk, *tables: str) -> str:
    """All rows of these tables."""
    with desk.database.engine.connect() as connection:
        return repr([connection.execute(select(METADATA.tables[t])).all() for t in tables])


@pytest.mark.parametrize("generation", ["2026-09", "2026-03"])
def test_a_portal_is_disconnected_and_nothing_of_it_is_left(
    environ: dict[str, str], hubspot: HubSpotApp, desk: Desk, generation: str
) -> None:
    hubspot.generations["appinstalls"] = {generation}
    portals_with_the_app(desk)
    done = here(environ, "portals", "disconnect", str(PORTAL), "--yes", "--json")
    assert json.loads(done.stdout) == {"portalId": PORTAL, "uninstalled": True, "accounts": ["own"]}
    assert list(hubspot.installs) == [7]
    assert hubspot.asked[-1].path == "/oauth/2026-09/token/revoke"
    left = left_in(desk, "installs", "portals", "portal_accounts", "rules", "accounts")
    assert str(PORTAL) not in left
    assert "anna" not in left
    assert "'shared'" in left
    again = here(environ, "portals", "disconnect", str(PORTAL), "--yes")
    assert again.returncode == 1
    assert "not installed" in again.stderr


def test_a_portal_that_is_gone_already_is_deleted_all_the_same(
    environ: dict[str, str], hubspot: HubSpotApp, desk: Desk
) -> None:
    portals_with_the_app(desk)
    del hubspot.installs[PORTAL]
    done = here(environ, "portals", "disconnect", str(PORTAL), "--yes")
    assert "At HubSpot, the app was no longer installed." in done.stdout
    assert str(PORTAL) not in left_in(desk, "installs", "portals", "rules")


@pytest.mark.parametrize("fault", ["secret", "away", "nobody there", "refused", "key"])
def test_what_hubspot_does_not_uninstall_is_not_deleted(
    environ: dict[str, str], hubspot: HubSpotApp, desk: Desk, fault: str
) -> None:
    portals_with_the_app(desk)
    before = left_in(desk, "installs", "portals", "rules", "accounts")
    yes = [] if fault == "nobody there" else ["--yes"]
    if fault == "secret":
        hubspot.secrets = {"another"}
    elif fault == "away":
        hubspot.then = [Reply(status=500)]
    elif fault == "refused":
        tokens = {"access_token": "unknown", "expires_in": 1800}
        hubspot.then = [Reply(tokens), Reply(status=403)]
    elif fault == "key":
        environ["ENCRYPTION_KEYS"] = "YW5vdGhlci1rZXktb2YtdGVzdHMtMzItYnl0ZXMtbG8="
    done = here(environ, "portals", "disconnect", str(PORTAL), *yes)
    assert done.returncode == 1
    assert "nothing was deleted" in done.stderr
    assert left_in(desk, "installs", "portals", "rules", "accounts") == before
    for secret in (SECRET, "na1-refresh", "first"):
        assert secret not in done.stdout + done.stderr


@pytest.fixture
def app(environ: dict[str, str], hubspot: HubSpotApp, desk: Desk) -> App:
    """The app, in two portals, of which one has just been found to have uninstalled it."""
    portals_with_the_app(desk)
    del hubspot.installs[PORTAL]
    desk.clock.now += 1351
    desk.refresher().refresh_due()
    return App(Service(environ).settings, desk.database, desk.clock)


def test_a_portal_that_uninstalled_is_purged_after_its_grace(app: App, desk: Desk) -> None:
    purged: list[int] = []
    refresher = app.refresher(purged.append)
    desk.clock.now += 13.9 * DAY_S
    refresher.purge_due()
    assert (purged, "anna" in left_in(desk, "rules")) == ([], True)
    desk.clock.now += 0.2 * DAY_S
    refresher.purge_due()
    app.refresher(purged.append).purge_due()
    assert purged == [PORTAL]
    assert str(PORTAL) not in left_in(desk, *(METADATA.tables.keys() - {"audit"}))
    left = left_in(desk, *METADATA.tables)
    assert ("anna" in left, "'own'" in left, "'shared'" in left) == (False, False, True)
    told = "purge after the uninstall", "portal", str(PORTAL), None, None
    assert repr(told)[1:-1] in left_in(desk, "audit")


def test_who_installs_within_the_grace_finds_the_rules_again(app: App, desk: Desk) -> None:
    desk.clock.now += 13 * DAY_S
    desk.install(PORTAL)
    desk.clock.now += 13 * DAY_S
    assert [*app.purge_gone()] == []
    assert "anna" in left_in(desk, "rules")
