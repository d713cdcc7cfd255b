"""Last good answers as Redis has them: encrypted, under keys that tell nobody what they are of."""

import base64
import struct
import zlib
from collections.abc import Iterable

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from hubspot.signature import derived_key
from providers.base.provider import Provider, Query

from .shared import Digests, Kept, asked, decode, encode

_AT = struct.Struct(">d")


class Sealed:
    """Encrypts and names, by keys derived from the client secrets: the first's; all can read."""

    def __init__(self, secrets: Iterable[str]) -> None:
        secrets = list(secrets)
        keys = [derived_key(secret, "last good answers: encryption") for secret in secrets]
        self._crypt = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
        self._digests = [Digests(derived_key(one, "last good answers: names")) for one in secrets]

    def names(self, kind: str, account: Provider, query: Query | None = None) -> list[str]:
        """Return the name of something of an account, by each secret."""
        digests = [
            digest.of(account, asked(query)) if query else digest(account)
            for digest in self._digests
        ]
        return [f"helpdesk-numbers:{kind}:{digest.hex()}" for digest in digests]

    def seal(self, name: str, answer: Kept) -> bytes:
        """Return the answer encrypted, and bound to its name."""
        numbers = encode(answer.numbers)
        plain = msgspec.msgpack.encode((name, answer.began, answer.at, numbers))
        return _AT.pack(answer.at) + self._crypt.encrypt(zlib.compress(plain, 1))

    def open(self, name: str, value: bytes | None) -> Kept | None:
        """Return the answer; None if it is not there, not by one of us, or not of that name."""
        try:
            plain = self._crypt.decrypt((value or b"")[_AT.size :])
        except InvalidToken:
            return None
        bound_to, began, at, numbers = msgspec.msgpack.decode(zlib.decompress(plain))
        return Kept(decode(numbers), began, at) if bound_to == name else None


HEAD = _AT.size
"""So many bytes of a sealed answer say when the call for it ended."""


def ended(head: bytes) -> float:
    """Return what the head says: minus infinity if there is none. Only a hint: it is no secret."""
    return float(_AT.unpack(head)[0]) if len(head) == HEAD else float("-inf")
