"""Portals' tokens: refreshed ahead of their end, by one process for all; gone if HubSpot says."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text, update

from helpdesk_numbers.database.encryption import Encryption
from helpdesk_numbers.database.installs import LEASE_S, PROBE_S, refresh_at
from helpdesk_numbers.database.opening import Database
from helpdesk_numbers.database.rotation import rotate
from helpdesk_numbers.database.tables import installs as table
from helpdesk_numbers.install.refresher import RETRY_S
from providers.testing.carrier import Reply
from tests.support import hubspot_app
from tests.support.hubspot_api import rate_limited
from tests.support.installs import Desk, desk, hour
from tests.support.postgres import KEY

PORTAL, OTHER = 62515, 70000
DUE_S = 1351


@pytest.fixture
def at(database_url: str) -> Iterator[Desk]:
    with desk(database_url) as made:
        yield made


@pytest.mark.parametrize(
    ("life_s", "due_s"), [(1800, 1350), (3600, 2700), (600, 300), (300, 150), (1, 0.5)]
)
def test_a_token_is_due_at_three_quarters_of_its_life_or_five_minutes_before_its_end(
    life_s: float, due_s: float
) -> None:
    assert refresh_at(1000, life_s) == 1000 + due_s


def test_a_token_that_is_due_is_refreshed_once(at: Desk) -> None:
    at.install(PORTAL)
    refresher = at.refresher()
    at.clock.now += 1349
    assert refresher.refresh_due() == 0
    at.clock.now += 2
    assert refresher.refresh_due() == 1
    assert refresher.refresh_due() == 0
    assert at.secret(PORTAL, "access_token") == at.hubspot.installs[PORTAL].access_tokens[-1]
    assert at.row(PORTAL).expires_at == at.clock() + 1800
    assert at.refreshed == [PORTAL]


@pytest.mark.parametrize("rotates", [True, False])
def test_a_new_refresh_token_is_kept_if_one_comes(at: Desk, rotates: bool) -> None:
    at.install(PORTAL)
    at.hubspot.rotates = rotates
    for _ in range(3):
        at.clock.now += DUE_S
        assert at.refresher().refresh_due() == 1
    assert at.row(PORTAL).state == "installed"
    assert at.secret(PORTAL, "refresh_token") == at.hubspot.installs[PORTAL].refresh_token


def test_nobody_else_refreshes_meanwhile_and_the_old_token_serves(at: Desk) -> None:
    at.install(PORTAL)
    at.clock.now += DUE_S
    other, seen = at.refresher(), list[object]()

    def meanwhile() -> None:
        seen.append(other.refresh_due())
        seen.append(at.secret(PORTAL, "access_token"))

    at.hubspot.while_refreshing = meanwhile
    at.refresher().refresh_due()
    assert seen == [0, "first"]


def test_a_refresh_whose_process_died_is_made_by_another(at: Desk) -> None:
    at.install(PORTAL)
    at.clock.now += DUE_S
    (due,) = at.installs.claim(at.clock(), 1)
    assert at.refresher().refresh_due() == 0
    at.clock.now += LEASE_S + 1
    assert at.refresher().refresh_due() == 1
    assert not at.installs.put_off(due, 0)  # should the first one live after all
    assert at.secret(PORTAL, "access_token") == at.hubspot.installs[PORTAL].access_tokens[-1]


@pytest.mark.parametrize("reply", [hubspot_app.BAD_REFRESH_TOKEN, hubspot_app.BAD_HUB])
def test_a_portal_is_gone_when_hubspot_says_so(at: Desk, reply: Reply) -> None:
    at.install(PORTAL, OTHER)
    at.clock.now += DUE_S
    at.hubspot.then = [reply]
    assert at.refresher().refresh_due() == 2
    states = {portal_id: at.row(portal_id) for portal_id in (PORTAL, OTHER)}
    (gone,) = (row for row in states.values() if row.state == "gone")
    assert (gone.access_token, gone.refresh_token, gone.gone_at) == (None, None, at.clock())
    at.hubspot.asked.clear()
    at.clock.now += 2 * DUE_S
    at.refresher().refresh_due()
    assert len(at.hubspot.asked) == 1  # the other one; it is not asked about any more


@pytest.mark.parametrize(
    ("reply", "after_s"),
    [
        (Reply(status=500), RETRY_S),
        (rate_limited("90"), 90),
        (hubspot_app.oauth_refusal(None, "SOMETHING_NEW"), RETRY_S),
        (hubspot_app.OTHER_CLIENT, RETRY_S),
        (Reply({"access_token": "x", "expires_in": 1800, "hub_id": OTHER}), RETRY_S),
    ],
)
def test_what_passes_is_tried_again_and_marks_no_portal(
    at: Desk, reply: Reply, after_s: float
) -> None:
    at.install(PORTAL)
    at.clock.now += DUE_S
    at.hubspot.then = [reply]
    refresher = at.refresher()
    refresher.refresh_due()
    assert (at.row(PORTAL).state, at.secret(PORTAL, "access_token")) == ("installed", "first")
    at.clock.now += after_s - 1
    assert refresher.refresh_due() == 0
    at.clock.now += 2
    assert refresher.refresh_due() == 1
    assert at.refreshed == [PORTAL]


def test_a_wrong_secret_for_ten_minutes_marks_nobody_and_is_one_alarm(
    at: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    portals = range(1, 13)
    at.install(*portals)
    at.hubspot.secrets = {"another"}
    at.clock.now += DUE_S
    refreshers = [at.refresher() for _ in range(3)]
    at.hubspot.asked.clear()
    for _ in range(600 // 5):
        for refresher in refreshers:
            refresher.refresh_due()
        at.clock.now += 5
    alarms = [record for record in caplog.records if record.message == "app_refused"]
    assert len(alarms) == 1
    assert "HUBSPOT_CLIENT_SECRET" in alarms[0].__dict__["reason"]
    assert "HUBSPOT_CLIENT_SECRET" in (at.installs.refused() or "")
    assert len(at.hubspot.asked) <= 4 + 600 / PROBE_S  # and HubSpot is not hammered
    assert {at.row(portal_id).state for portal_id in portals} == {"installed"}
    at.hubspot.secrets = {hubspot_app.SECRET}
    at.clock.now += PROBE_S + 1
    for refresher in refreshers:
        while refresher.refresh_due():
            pass
    assert at.installs.refused() is None
    assert sorted(at.refreshed) == [*portals]
    assert [r.message for r in caplog.records].count("app_accepted") == 1


def test_a_token_that_cannot_be_decrypted_costs_no_other_its_refresh(at: Desk) -> None:
    at.install(PORTAL, OTHER)
    with at.database.engine.begin() as connection:
        connection.execute(
            update(table).where(table.c.portal_id == PORTAL).values(refresh_token="x")
        )
    at.clock.now += DUE_S
    at.refresher().refresh_due()
    assert at.refreshed == [OTHER]
    assert at.row(PORTAL).state == "installed"


def test_another_app_s_installs_are_left_alone(at: Desk) -> None:
    at.install(PORTAL)
    with at.database.engine.begin() as connection:
        connection.execute(update(table).values(client_id="another"))
    at.clock.now += DUE_S
    assert at.refresher().refresh_due() == 0


def test_a_database_that_is_away_ends_no_refresher(
    at: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    at.install(PORTAL)
    at.clock.now += DUE_S

    def away() -> None:
        with at.database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE installs RENAME TO away"))

    at.hubspot.while_refreshing = away
    at.refresher().refresh_due()
    assert "tokens_not_refreshed" in [record.message for record in caplog.records]


def test_tokens_are_encrypted_and_keys_can_be_exchanged(at: Desk) -> None:
    at.install(PORTAL)
    stored = str(at.row(PORTAL))
    assert "first" not in stored
    assert "na1-refresh" not in stored
    new = "YW5vdGhlci1rZXktb2YtdGVzdHMtMzItYnl0ZXMtbG8="
    *_, last = rotate(Database(at.database.engine, Encryption([new, KEY])))
    assert last == (2, 0)
    at.database = Database(at.database.engine, Encryption([new]))
    assert at.secret(PORTAL, "refresh_token") == f"na1-refresh-of-{PORTAL}"


def test_many_processes_refresh_each_portal_once_a_period(at: Desk) -> None:
    hour(at, portals=12, processes=4, step_s=150)
    assert set(at.hubspot.refreshed.values()) == {2}
    assert at.hubspot.at_once == 1
