"""What HubSpot's journal says of uninstalls, brought into the database by `flask portals sync`."""

from typing import NamedTuple

from hubspot.journal import RETENTION_S, SCOPES, Journal
from providers.base.provider import Deadline

from .app import ANSWER_S, App

MOST_FILES = 10_000
"""What one run reads at most; a file has up to 10,000 events."""


class Synced(NamedTuple):
    """What was done: how many files were read, which portals they say uninstalled the app, which of
    them a refresh found to be gone, and which were purged."""

    files: int
    uninstalled: list[int]
    gone: list[int]
    purged: list[int]


def sync(app: App) -> Synced:
    """Read on in the journal, and prove by a refresh what it says of portals that have the app.

    It may run at any time, and twice at once. Raises LookupFailed and SQLAlchemyError: what was
    read until then stays.
    """
    token = app.oauth.app_token(app.post_by(Deadline(ANSWER_S)), SCOPES).access_token
    journal = Journal(app.settings.hubspot_api_base_url, token)
    journal.subscribe()
    files, uninstalled = 0, list[int]()
    read, at = app.installs.journal()
    after = read if at and app.clock() - at < RETENTION_S else None
    while files < MOST_FILES and (file := journal.read(after)):
        if not app.installs.read_on(read, file.offset, file.uninstalled, app.clock()):
            break  # somebody else has read it meanwhile
        files, read, after = files + 1, file.offset, file.offset
        uninstalled += file.uninstalled
    refresher = app.refresher(lambda _: None)
    while refresher.refresh_due():
        pass
    purged = [*app.purge_gone()]
    gone = sorted({*uninstalled} & {*app.installs.gone(app.clock())})
    return Synced(files, sorted({*uninstalled}), gone, purged)
