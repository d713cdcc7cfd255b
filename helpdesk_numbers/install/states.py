"""The `state` of an install: it comes back once, within ten minutes, in the browser it was given
to. Nothing is stored until it comes back, so that asking for many costs us nothing."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError

from helpdesk_numbers.database.encryption import Undecipherable
from helpdesk_numbers.database.opening import Database
from helpdesk_numbers.database.tables import used_states

LIFE_S = 600.0

_PLACE = "used_states", "", "state"


class StateRefused(Exception):
    """The state is not one that we gave this browser, or it came before. The message says which."""


def new_state(database: Database, now: float) -> tuple[str, str]:
    """Return a state, and the cookie that it is bound to: each has 128 random bits."""
    cookie = secrets.token_urlsafe(16)
    return database.encryption.encrypt(f"{cookie} {now + LIFE_S}", *_PLACE), cookie


def check_state(state: str, cookies: Sequence[str], database: Database, now: float) -> None:
    """Take note that a state came back, with its cookie; StateRefused if it should not have."""
    if not cookies:
        raise StateRefused("the browser sent no cookie of the install")
    try:
        bound_to, _, until = database.encryption.decrypt(state, *_PLACE).partition(" ")
    except Undecipherable:
        raise StateRefused("the state is none of ours") from None
    given = (cookie.encode("utf-8", "surrogateescape") for cookie in cookies)
    if not any(hmac.compare_digest(bound_to.encode(), cookie) for cookie in given):
        raise StateRefused("the state was given to another browser")
    if float(until) <= now:
        raise StateRefused("the state is older than ten minutes")
    digest = hashlib.sha256(bound_to.encode()).hexdigest()
    try:
        with database.engine.begin() as connection:
            connection.execute(insert(used_states).values(digest=digest, at=now))
            connection.execute(delete(used_states).where(used_states.c.at < now - LIFE_S))
    except IntegrityError:
        raise StateRefused("the state came before") from None
