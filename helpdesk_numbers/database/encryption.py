"""Secrets at rest: Fernet, with a key of its own for each place, so that a ciphertext that is moved
to another row or column does not decrypt.

https://cryptography.io/en/latest/fernet/
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from providers.base.options import Secret


class Undecipherable(Exception):
    """None of the keys is the one that this was encrypted with, or it is from another place."""


def new_key() -> str:
    """Return a key for ENCRYPTION_KEYS."""
    return Fernet.generate_key().decode()


class Encryption:
    """Encrypts with the first key, decrypts with any. Raises ValueError for what is no key."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [base64.urlsafe_b64decode(key) for key in keys]
        for key in keys:
            Fernet(key)
        if not keys:
            raise ValueError("no key")

    def encrypt(self, text: str, *place: str) -> str:
        """Return the text encrypted for a table, row and column."""
        return self._at(place).encrypt(text.encode()).decode()

    def decrypt(self, encrypted: str, *place: str) -> Secret:
        """Return the text; Undecipherable if it cannot be had."""
        try:
            return Secret(self._at(place).decrypt(encrypted.encode()).decode())
        except InvalidToken:
            raise Undecipherable from None

    def is_newest(self, encrypted: str, *place: str) -> bool:
        """Return whether the text is encrypted with the first key."""
        try:
            _fernet(self._keys[0], place).decrypt(encrypted.encode())
        except InvalidToken:
            return False
        return True

    def _at(self, place: Sequence[str]) -> MultiFernet:
        return MultiFernet([_fernet(key, place) for key in self._keys])


def _fernet(key: bytes, place: Sequence[str]) -> Fernet:
    """Of a key that is derived for this place: each part is told with its length, so that no two
    places read alike."""
    told = "".join(f"{len(part)}:{part}," for part in place)
    derived = hmac.digest(key, f"helpdesk-numbers {told}".encode(), hashlib.sha256)
    return Fernet(base64.urlsafe_b64encode(derived))
