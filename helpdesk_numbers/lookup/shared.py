"""What the workers of an instance, and the instances, share of an account's answers.

Times are seconds of the monotonic clock, which is one for all processes of a machine.
"""

import hashlib
import hmac
import threading
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import msgspec

from providers.base.provider import PhoneNumber, Provider, Query, UnreadNumber


class Kept(NamedTuple):
    """An account's good answer, and when the call for it began and ended."""

    numbers: list[PhoneNumber]
    began: float
    at: float


class SharedAnswers(Protocol):
    """Where workers find each other's answers. None of it raises."""

    def put(self, account: Provider, query: Query, answer: Kept) -> None:
        """Keep an answer, some time soon, unless the account was refused after it began."""

    def newest(self, account: Provider, query: Query) -> Kept | None:
        """Return the last answer to the query."""

    def refuse(self, account: Provider, at: float) -> None:
        """Forget all answers of the account that began before then, also those yet to come."""

    def refused_at(self, account: Provider) -> float:
        """Return when the account's credentials were last refused; minus infinity if never."""

    def lease(self, account: Provider, now: float, until: float) -> bool:
        """Return whether this worker may list the account until then: one at a time may.

        Whoever has the lease extends it with `now=math.inf`.
        """

    def release(self, account: Provider) -> None:
        """End the lease."""


class Digests:
    """Accounts as keys: with other options, above all other credentials, it is another."""

    def __init__(self, key: bytes) -> None:
        self._key = key  # so that nobody else can try credentials on the digests
        self._known: WeakKeyDictionary[Provider, bytes] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def __call__(self, account: Provider) -> bytes:
        """Return the account's digest, the same in all processes that have the key."""
        with self._lock:
            digest = self._known.get(account)
        if digest is None:
            named = [account.name, account.account, account.options]
            options = msgspec.json.encode(named, enc_hook=_plain)
            digest = hmac.digest(self._key, options, hashlib.sha256)
            with self._lock:
                self._known[account] = digest
        return digest

    def of(self, account: Provider, part: str) -> bytes:
        """Return the digest of a part of the account, such as what it was asked for."""
        message = self(account) + part.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, hashlib.sha256)


def asked(query: Query) -> str:
    """Return what a query asks for, as text."""
    return repr((query.numbers, query.names, query.owner))


def _plain(value: object) -> str:
    """Of a secret, the text itself."""
    return str.__str__(value) if isinstance(value, str) else repr(value)


def encode(numbers: list[PhoneNumber]) -> bytes:
    """Return numbers as bytes. A carrier's fields may be of any type: others become text."""
    rows = [(isinstance(one, UnreadNumber), *msgspec.structs.astuple(one)) for one in numbers]
    return msgspec.msgpack.encode(rows, enc_hook=str)


def decode(encoded: bytes) -> list[PhoneNumber]:
    """Return the numbers of `encode`."""
    kinds: tuple[Any, Any] = PhoneNumber, UnreadNumber
    return [
        kinds[unread](*(tuple(value) if isinstance(value, list) else value for value in row))
        for unread, *row in msgspec.msgpack.decode(encoded)
    ]
