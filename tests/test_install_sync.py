"""`flask portals sync`: what HubSpot's journal says of uninstalls, proven by a refresh."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from helpdesk_numbers.database.tables import apps
from helpdesk_numbers.install.app import DAY_S, App
from helpdesk_numbers.install.sync import sync
from helpdesk_numbers.service import Service
from providers.testing.carrier import Reply
from tests.support.commands import here
from tests.support.installs import OTHER, PORTAL, Desk, desk, portals_with_the_app, settings_of


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(f"sqlite:///{tmp_path}/numbers.db") as made:
        portals_with_the_app(made)
        yield made


@pytest.fixture
def environ(at: Desk) -> dict[str, str]:
    return settings_of(at.url, at.hubspot.url)


@pytest.fixture
def app(at: Desk, environ: dict[str, str]) -> App:
    return App(Service(environ).settings, at.database, at.clock)


def file(*events: Any) -> dict[str, Any]:
    return {"offset": "x", "journalEvents": [*events], "publishedAt": "2026-11-27T00:00:00Z"}


def event(portal_id: object, action: str = "APP_UNINSTALL") -> dict[str, Any]:
    return {
        "type": "app_lifecycle_event",
        "action": action,
        "portalId": portal_id,
        "occurredAt": "2026-11-27T00:00:00Z",
        "eventTypeId": "4-1916193",
        "properties": {"hs_app_id": "54321"},
    }


@pytest.mark.parametrize("generation", ["2026-09", "2026-03"])
def test_an_uninstall_in_the_journal_is_known_at_once(
    app: App,
    at: Desk,
    generation: str,
) -> None:
    at.hubspot.generations["webhooks-journal"] = {generation}
    del at.hubspot.installs[PORTAL]
    at.hubspot.journal = [
        file(event(OTHER, "APP_INSTALL")),
        file({"action": {}}, event(str(PORTAL)), event(99), event("x")),
    ]
    assert sync(app) == (2, [99, PORTAL], [PORTAL], [])
    assert (at.row(PORTAL).state, at.row(OTHER).state) == ("gone", "installed")
    assert sync(app) == (0, [], [], [])
    at.hubspot.journal.append(file())
    assert sync(app).files == 1


def test_a_portal_that_has_it_again_stays(app: App, at: Desk) -> None:
    at.hubspot.journal = [file(event(PORTAL))]
    assert sync(app) == (1, [PORTAL], [], [])
    assert at.row(PORTAL).state == "installed"


def test_who_read_on_meanwhile_is_not_undone(app: App) -> None:
    assert app.installs.read_on(None, "at-0", [PORTAL], app.clock())
    assert not app.installs.read_on(None, "at-0", [OTHER], app.clock())
    assert app.installs.read_on("at-0", "at-1", [], app.clock())
    assert app.installs.journal() == ("at-1", app.clock())


def test_what_the_journal_keeps_no_longer_is_not_asked_for(app: App, at: Desk) -> None:
    at.hubspot.journal = [file(), file()]
    sync(app)
    at.clock.now += 4 * DAY_S
    at.hubspot.asked.clear()
    assert sync(app).files == 2
    assert any(asked.path.endswith("/earliest") for asked in at.hubspot.asked)


def test_the_command_says_what_it_did(app: App, environ: dict[str, str], at: Desk) -> None:
    del at.hubspot.installs[PORTAL]
    at.hubspot.journal = [file(event(PORTAL))]
    done = here(environ, "portals", "sync", "--json")
    assert json.loads(done.stdout) == {
        "files": 1,
        "uninstalled": [PORTAL],
        "gone": [PORTAL],
        "purged": [],
    }
    assert "0 files of HubSpot's journal read." in here(environ, "portals", "sync").stdout


@pytest.mark.parametrize("status", [403, 500])
def test_a_journal_that_cannot_be_read_is_told(
    app: App,
    environ: dict[str, str],
    at: Desk,
    status: int,
) -> None:
    token = {"access_token": "x", "expires_in": 1800}
    at.hubspot.then = [Reply(token), Reply(status=status)]
    done = here(environ, "portals", "sync")
    assert (done.returncode, str(status) in done.stderr) == (1, True)
    with app.database.engine.connect() as connection:
        assert connection.execute(select(apps.c.journal_offset)).all() == []
