"""Which token HubSpot is asked with: the portal's own, its install's, or the only one."""

from collections.abc import Iterator

import pytest

from helpdesk_numbers.directory.model import OWN, Directory, Install, Portal
from helpdesk_numbers.users.asking import tokens
from helpdesk_numbers.users.questions import FRESH_S
from hubspot.errors import HubSpotUnavailable, PortalGone
from providers.base.options import Secret
from tests.support.hubspot_users import TOKEN, HubSpotUsers, email_of, people
from tests.support.users import PORTAL, Asking, emails

NOW, EVER = 1_800_000_000.0, 9e12
OWNED, INSTALLED, ONLY = Secret("own"), Secret("of the install"), Secret("only")


def directory(token: Secret | None, install: Install | None) -> Directory:
    return Directory({}, {PORTAL: Portal((), OWN, token=token, install=install)})


@pytest.fixture
def hubspot() -> Iterator[HubSpotUsers]:
    with HubSpotUsers(*people(range(1, 3))) as made:
        yield made


@pytest.mark.parametrize(
    ("token", "install", "used"),
    [
        (OWNED, Install(INSTALLED, EVER), OWNED),
        (OWNED, Install(None, 0, gone=True), OWNED),
        (None, Install(INSTALLED, EVER), INSTALLED),
        (None, None, ONLY),
    ],
)
def test_the_portals_own_token_wins_over_the_installs_and_that_over_the_only_one(
    token: Secret | None, install: Install | None, used: Secret
) -> None:
    assert tokens(ONLY, lambda: NOW)(directory(token, install), PORTAL) == used


@pytest.mark.parametrize(
    ("install", "error"),
    [
        (Install(INSTALLED, NOW), HubSpotUnavailable),
        (Install(None, EVER), HubSpotUnavailable),
        (Install(None, EVER, gone=True), PortalGone),
    ],
)
def test_a_token_that_is_of_no_use_is_not_sent_nor_another_in_its_place(
    install: Install, error: type[Exception]
) -> None:
    with pytest.raises(error):
        tokens(ONLY, lambda: NOW)(directory(None, install), PORTAL)


def test_while_a_token_is_not_refreshed_who_is_remembered_stands_in(hubspot: HubSpotUsers) -> None:
    ask = Asking(hubspot.url, directory(None, Install(Secret(TOKEN), EVER)))
    assert ask().how == "hubspot"
    ask.directory = directory(None, Install(Secret(TOKEN), 0))
    ask.clock.now += FRESH_S + 1
    assert (ask().how, emails(ask())) == ("stale", (email_of(1),))
    with pytest.raises(HubSpotUnavailable, match="expired"):
        ask(user_id=2)
    assert len(hubspot.asked) == 1


def test_a_portal_that_is_gone_is_told_of_once(
    hubspot: HubSpotUsers, caplog: pytest.LogCaptureFixture
) -> None:
    ask = Asking(hubspot.url, directory(None, Install(None, EVER, gone=True)))
    for _ in range(3):
        with pytest.raises(PortalGone):
            ask()
    assert [record.message for record in caplog.records] == ["hubspot_refused"]
    assert hubspot.asked == []
