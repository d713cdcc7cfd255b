"""The management API and its database: how much of it is taken, a server that hangs or breaks off,
and one moment for all that is read."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event
from werkzeug.test import TestResponse

from app import create_app
from helpdesk_numbers.api import routes
from helpdesk_numbers.api.routes import AT_ONCE
from helpdesk_numbers.database.engine import POOL_SIZE
from helpdesk_numbers.directory import database as directory
from tests.support.accounts import wait_until
from tests.support.postgres import KEY, new_database, postgres_to_stop

ADMIN = "admin-token-of-tests"
DESK = {"provider": "static", "numbers": [{"number": "+12025550143", "name": "Front"}]}
PORTALS = range(101, 101 + POOL_SIZE)


@contextmanager
def api(url: str) -> Iterator[Flask]:
    settings = {
        "HUBSPOT_CLIENT_SECRET": "x",
        "DATABASE_URL": url,
        "ENCRYPTION_KEYS": KEY,
        "ADMIN_TOKENS": ADMIN,
    }
    app = create_app(settings)
    yield app
    app.extensions["helpdesk_numbers"].close()


@pytest.fixture
def app(postgres_server: str) -> Iterator[Flask]:
    with api(new_database(postgres_server, f"b{os.urandom(6).hex()}")) as app:
        yield app


def engine_of(app: Flask) -> Engine:
    engine: Engine = app.extensions["helpdesk_numbers"].database.engine
    return engine


def ask(app: Flask, method: str, path: str, body: Any = None) -> TestResponse:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    return app.test_client().open("/api/v1" + path, method=method, json=body, headers=headers)


def fill(app: Flask) -> None:
    assert ask(app, "PUT", "/accounts/desk", DESK).status_code == 201
    for portal_id in PORTALS:
        assert ask(app, "PUT", f"/portals/{portal_id}", {"accounts": ["desk"]}).status_code == 201


class Callers:
    """Threads that ask at the same time, and what they were answered."""

    def __init__(self, calls: list[Callable[[], TestResponse]]) -> None:
        self.answers: list[TestResponse] = []
        self.threads = [threading.Thread(target=self._ask, args=[call]) for call in calls]
        for thread in self.threads:
            thread.start()

    def _ask(self, call: Callable[[], TestResponse]) -> None:
        self.answers.append(call())

    def wait(self) -> list[int]:
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        return [answer.status_code for answer in self.answers]


def test_what_the_api_works_on_is_bounded_and_leaves_the_webhook_its_connections(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "WAIT_S", 30.0)  # so that no machine is too slow for it
    fill(app)
    released, held = threading.Event(), list[str]()
    together = threading.Barrier(POOL_SIZE, timeout=30)

    def hold(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if threading.current_thread() in callers.threads:
            held.append(statement)
            assert released.wait(60)
        elif "FROM rules" in statement:
            together.wait()  # each of the webhook's has its connection

    calls: list[Callable[[], TestResponse]] = []
    for _ in range(AT_ONCE):
        calls.append(lambda: ask(app, "GET", "/audit"))
        calls.append(lambda: ask(app, "POST", "/accounts/desk/test"))
    started = threading.Event()

    def when_started(call: Callable[[], TestResponse]) -> Callable[[], TestResponse]:
        def wait_and_call() -> TestResponse:
            assert started.wait(30)
            return call()

        return wait_and_call

    callers = Callers([when_started(call) for call in calls])
    event.listen(engine_of(app), "before_cursor_execute", hold)
    started.set()
    try:
        wait_until(lambda: len(held) == 2 * AT_ONCE)
        assert ask(app, "GET", "/audit").status_code == 429
        assert ask(app, "POST", "/accounts/desk/test").status_code == 429
        source = app.extensions["helpdesk_numbers"].directory
        found: list[int] = []

        def look_up(portal_id: int) -> None:
            found.extend(source.of(portal_id).portals)

        threads = [threading.Thread(target=look_up, args=[portal_id]) for portal_id in PORTALS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(found) == [*PORTALS]
    finally:
        released.set()
    assert callers.wait() == [200] * 2 * AT_ONCE
    assert ask(app, "GET", "/audit").status_code == 200


def test_a_database_that_hangs_is_a_503_in_time_and_works_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with postgres_to_stop() as database, api(database.url) as app:
        fill(app)
        calls = [
            lambda: ask(app, "GET", "/accounts"),
            lambda: ask(app, "PUT", "/portals/101", {"accounts": []}),
            lambda: ask(app, "GET", "/audit"),
            lambda: ask(app, "POST", "/accounts/desk/test"),
            lambda: ask(app, "GET", "/portals/999/numbers?userId=5"),
        ]
        for _ in range(AT_ONCE):  # so that each of them meets connections in the pool
            assert {*Callers([calls[0]] * AT_ONCE).wait()} == {200}
        database.hang()
        try:
            monkeypatch.setattr(routes, "DATABASE_S", 1.0)
            for _ in range(2):  # in all, more than there is room for at a time
                callers = Callers(calls)
                assert {*callers.wait()} == {503}
                for answer in callers.answers:
                    assert answer.get_json()["category"] == "DIRECTORY_UNAVAILABLE"
                    assert answer.headers["Retry-After"]
        finally:
            monkeypatch.undo()
            database.go_on()
        assert {*Callers([calls[0], calls[2]] * 2).wait()} == {200}
        assert ask(app, "PUT", "/portals/101", {"accounts": []}).status_code == 200
        assert engine_of(app).pool.checkedout() == 0  # type: ignore[attr-defined] # QueuePool's


def test_a_commit_that_was_broken_off_is_not_called_undone(app: Flask) -> None:
    def cut(connection: Any) -> None:
        fileno = connection.connection.dbapi_connection.fileno()
        with socket.socket(fileno=os.dup(fileno)) as ours:
            ours.shutdown(socket.SHUT_RD)  # it is sent, and the answer is not read

    event.listen(engine_of(app), "commit", cut)
    answer = ask(app, "PUT", "/accounts/desk", DESK)
    event.remove(engine_of(app), "commit", cut)
    body = answer.get_json()
    assert (answer.status_code, body["category"]) == (503, "DIRECTORY_UNAVAILABLE")
    assert "not known whether the change was made" in body["message"]
    assert "nothing was changed" not in body["message"]
    assert answer.headers["Retry-After"]
    wait_until(lambda: ask(app, "GET", "/accounts/desk").status_code == 200)  # as it happens


def test_what_is_shown_is_of_one_moment(app: Flask) -> None:
    fill(app)
    before = ask(app, "GET", "/portals/101")
    changes: list[int] = []

    def change(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM rules" in statement and not changes:
            changes.append(0)
            body = {"accounts": [], "users": "none"}
            changes.extend(Callers([lambda: ask(app, "PUT", "/portals/101", body)]).wait())

    event.listen(engine_of(app), "before_cursor_execute", change)
    shown = ask(app, "GET", "/portals/101")
    assert changes == [0, 200]
    assert (shown.get_json(), shown.headers["ETag"]) == (before.get_json(), before.headers["ETag"])
    assert ask(app, "GET", "/portals/101").get_json()["users"] == "none"
