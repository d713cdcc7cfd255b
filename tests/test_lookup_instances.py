"""What instances share of an account's answers by Redis, and that its failures cost nothing."""

import time
from collections.abc import Callable, Iterator

import pytest

from helpdesk_numbers import redis_client
from helpdesk_numbers.lookup import instances
from helpdesk_numbers.lookup.instances import RedisAnswers
from helpdesk_numbers.lookup.shared import Kept
from helpdesk_numbers.lookup.stale import LastKnownGood
from providers import Secret, load
from providers.base.errors import Refused
from providers.base.provider import PhoneNumber, Provider, Query
from tests.support.valkey import Valkey, valkey, valkey_to_stop

EAST = PhoneNumber("+12025550143", "East", "7", owners=("anna@acme.example",))
WEST = PhoneNumber("+12025550144")


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with valkey() as made:
        yield made


@pytest.fixture(autouse=True)
def often(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to wait for but Redis, on a busy machine too."""
    server.client().flushdb()
    monkeypatch.setattr(instances, "WRITE_EVERY_S", 0)
    monkeypatch.setattr(instances, "READ_EVERY_S", 0)
    monkeypatch.setattr(instances, "SLOW_S", 5)
    monkeypatch.setattr(redis_client, "SLOW_S", 5)


def account(key: str = "a-key") -> Provider:
    """As each instance makes it of the same directory."""
    kind = load("telnyx")
    return kind(kind.Options(api_key=Secret(key)), "acme")  # type: ignore[call-arg] # its own


def instance(server: Valkey, *secrets: str) -> LastKnownGood:
    made = LastKnownGood(60)
    made.instances = RedisAnswers(server.url, secrets or ("client-secret",), 60)
    return made


def answer_of(which: LastKnownGood, query: Query | None = None, key: str = "a-key") -> object:
    found = which.find(account(key), query or Query())
    return found and found[0]


def in_time(found: Callable[[], object]) -> object:
    for _ in range(500):
        if value := found():
            return value
        time.sleep(0.01)
    return found()


def shared(server: Valkey, *numbers: PhoneNumber, by: str = "client-secret") -> LastKnownGood:
    """An instance whose answer has arrived."""
    asked, before = instance(server, by), server.client().dbsize()
    asked.record(account(), Query(), list(numbers), time.monotonic())
    assert in_time(lambda: server.client().dbsize() > before)
    return asked


def test_one_instances_answer_stands_in_for_another_with_its_age(server: Valkey) -> None:
    asked, other, now = instance(server), instance(server), time.monotonic()
    assert asked.instances
    asked.instances.put(account(), Query(), Kept([EAST, WEST], now - 45, now - 40))
    acme = account()
    found = in_time(lambda: other.find(acme, Query()))
    assert found
    numbers, age_s = other.find(acme, Query()) or ([], 0)
    assert numbers == [EAST, WEST]
    assert 40 <= age_s < 55
    assert answer_of(other, Query(numbers=("+12025550143",))) == [EAST, WEST]


def test_nothing_in_redis_can_be_read_or_guessed(server: Valkey) -> None:
    asked = shared(server, EAST)
    asked.record(account(), Query(owner="anna@acme.example"), [EAST], time.monotonic())
    client = server.client()
    assert in_time(lambda: client.dbsize() == 3)
    for name in client.scan_iter():
        text = repr((name, client.dump(name))).encode()
        for secret in (b"2025550143", b"East", b"anna", b"a-key", b"acme"):
            assert secret not in text


def test_everything_in_redis_ends_with_its_age(server: Valkey) -> None:
    asked = shared(server, EAST)
    asked.record(account("b"), Query(), Refused("answered 401", 401), time.monotonic())
    client = server.client()
    assert in_time(lambda: client.dbsize() == 3)
    assert all(0 < client.pttl(name) <= 60_000 for name in client.scan_iter())


def test_other_credentials_and_other_client_secrets_read_nothing(server: Valkey) -> None:
    shared(server, EAST)
    assert answer_of(instance(server)) == [EAST]
    assert answer_of(instance(server), key="another") is None
    assert answer_of(instance(server, "another")) is None


def test_while_secrets_rotate_both_are_read(server: Valkey) -> None:
    shared(server, EAST, by="old")
    assert answer_of(instance(server, "new", "old")) == [EAST]


def test_a_value_moved_to_another_account_is_not_read(server: Valkey) -> None:
    shared(server, EAST)
    client = server.client()
    (name,) = client.keys("helpdesk-numbers:answer:*")
    other = instance(server)
    assert other.instances
    (moved,) = other.instances._sealed.names("answer", account("b"), Query())
    client.rename(name, moved)
    assert answer_of(other, key="b") is None


def test_a_refusal_removes_it_for_all(server: Valkey) -> None:
    asked, other, third = shared(server, EAST), instance(server), instance(server)
    acme, same = account(), account()
    assert other.find(same, Query())
    asked.record(acme, Query(), Refused("answered 401", 401), time.monotonic())
    assert in_time(lambda: server.client().keys("*:refused:*"))
    assert other.find(same, Query()) is None
    assert answer_of(third) is None
    assert server.client().keys("*:answer*") == []


def test_what_began_before_a_refusal_is_not_shared_after_it(server: Valkey) -> None:
    began = time.monotonic() - 5
    asked, slow, third = instance(server), instance(server), instance(server)
    asked.record(account(), Query(), Refused("answered 401", 401), began)
    assert in_time(lambda: server.client().keys("*:refused:*"))
    slow.record(account(), Query(), [EAST], began)
    assert in_time(lambda: server.client().keys("*:answer:*"))
    assert answer_of(third) is None
    slow.record(account(), Query(), [WEST], time.monotonic())
    assert in_time(lambda: answer_of(third)) == [WEST]


@pytest.mark.parametrize("pause_s", [5, 0], ids=["left alone", "tried again"])
def test_while_redis_hangs_nobody_waits_and_it_is_told_once(
    monkeypatch: pytest.MonkeyPatch, pause_s: float
) -> None:
    monkeypatch.setattr(redis_client, "PAUSE_S", pause_s)
    monkeypatch.setattr(redis_client, "SLOW_S", 0)  # what was under way makes it well no more
    told: list[object] = []
    monkeypatch.setattr(redis_client.log, "warning", lambda *words: told.append(words))
    monkeypatch.setattr(instances, "SLOW_S", 0.05)
    with valkey_to_stop() as own:
        asked = instance(own)
        acme = account()
        asked.record(acme, Query(), [EAST], time.monotonic())
        assert in_time(lambda: own.client().dbsize() == 2)
        own.hang()
        began = time.monotonic()
        for _ in range(1000):
            asked.record(acme, Query(), [EAST], time.monotonic())
            assert answer_of(asked) is None  # another object: nothing of its own
            assert asked.find(acme, Query())
        assert time.monotonic() - began < 4, "one waited 50 ms, not a thousand"
        assert len(told) == 1


def test_a_refusal_is_told_once_redis_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_client, "PAUSE_S", 0)
    with valkey_to_stop() as own:
        asked = shared(own, EAST)
        other, same = instance(own), account()
        assert other.find(same, Query())
        own.stop()
        asked.record(account(), Query(), Refused("answered 401", 401), time.monotonic())
        own.start()
        asked.record(account("b"), Query(), [WEST], time.monotonic())
        assert in_time(lambda: own.client().keys("*:refused:*"))
        assert in_time(lambda: other.find(same, Query()) is None)


def test_a_full_redis_costs_only_the_sharing(server: Valkey) -> None:
    client = server.client()
    client.config_set("maxmemory", 1)
    try:
        asked, acme = instance(server), account()
        asked.record(acme, Query(), [EAST], time.monotonic())
        assert asked.find(acme, Query())
    finally:
        client.config_set("maxmemory", 0)
