"""The certificates that we trust, in a folder from which OpenSSL takes only those that it needs.

Of a file it parses all, for each connection anew: with certifi's, that costs 4 ms and 0.65 MB. In a
folder it looks for an issuer by the hash of the name:
https://docs.openssl.org/3.0/man1/openssl-rehash/
"""

import atexit
import os
import re
import shutil
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha1
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import certifi

_PEM = re.compile(rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----(.*?)-----END \1-----", re.S)

_LATIN_1 = dict.fromkeys((0x13, 0x14, 0x16, 0x1A), "latin-1")
_ENCODINGS = {0x0C: "utf-8", 0x1C: "utf-32-be", 0x1E: "utf-16-be", **_LATIN_1}
"""How texts of ASN.1's types are written, of those that OpenSSL compares by their characters."""

_lock = Lock()


class Trusted(NamedTuple):
    """The file or the folder of the certificates that we trust; of our own folder, its state."""

    file: str | None
    folder: str | None
    state: int = 0


def source() -> str:
    """Return the file or folder of certificates that is configured; certifi's file if none is."""
    env = os.environ
    return env.get("REQUESTS_CA_BUNDLE") or env.get("SSL_CERT_FILE") or certifi.where()


def trusted() -> Trusted:
    """Return where the certificates of `source` are: in a folder, unless none can be made of them.

    Ours is a temporary one, made once for a process and its forks, and again where it is not as it
    was made (something tidies old files away) or belongs to another user.
    """
    with _lock:
        place = _place(source())
        if place.state and place.folder and place.state != _state(place.folder):
            _place.cache_clear()
            place = _place(source())
        return place


@cache
def _place(path: str) -> Trusted:
    if os.path.isdir(path):
        return Trusted(None, path)
    try:
        folder = _split(Path(path).read_bytes())
    except (OSError, ValueError, IndexError):
        return Trusted(path, None)  # libcurl may make more of it, or says what is wrong
    return Trusted(None, folder, _state(folder))


def _state(folder: str) -> int:
    """Another number once files were added or removed; 0 if the folder is not this user's."""
    with suppress(OSError):
        stat = os.stat(os.path.join(folder, "."))
        if stat.st_uid == os.geteuid():
            return hash((stat.st_mtime_ns, stat.st_ino))
    return 0


def _split(bundle: bytes) -> str:
    """Write each certificate into a new folder, to a file of its name's hash."""
    hashed = [(subject_hash(b64decode(pem[2])), pem[0]) for pem in _PEM.finditer(bundle)]
    if not hashed:
        raise ValueError("no certificates")
    folder = tempfile.mkdtemp(prefix="helpdesk-numbers-")
    atexit.register(_remove, folder, os.getpid())
    for name, pem in hashed:
        with open(os.path.join(folder, f"{name}.0"), "ab") as file:
            file.write(pem + b"\n")
    return folder


def _remove(folder: str, made_by: int) -> None:
    if os.getpid() == made_by:  # its forks end earlier
        shutil.rmtree(folder, ignore_errors=True)


def subject_hash(certificate: bytes) -> str:
    """Return OpenSSL's hash of the subject of a certificate in DER, eight hexadecimal digits.

    Raises:
        ValueError, IndexError: it is no certificate, or has a name that breaks its own encoding.

    https://github.com/openssl/openssl/blob/openssl-3.5/crypto/x509/x_name.c (`x509_name_canon`)
    https://www.rfc-editor.org/rfc/rfc5280#section-4.1
    """
    (_, signed), *_ = _elements(certificate)
    (_, body), *_ = _elements(signed)
    fields = [content for tag, content in _elements(body) if tag != 0xA0]  # that is the version
    digest = sha1(usedforsecurity=False)
    for _, names in _elements(fields[4]):
        digest.update(_element(0x31, *sorted(_canonical(name) for _, name in _elements(names))))
    return f"{int.from_bytes(digest.digest()[:4], 'little'):08x}"


def _canonical(attribute: bytes) -> bytes:
    """A name's attribute with its text as UTF-8, in small letters, without needless spaces."""
    (_, kind), (tag, value) = _elements(attribute)
    if encoding := _ENCODINGS.get(tag):
        tag, value = 0x0C, b" ".join(value.decode(encoding).encode().lower().split())
    return _element(0x30, _element(0x06, kind), _element(tag, value))


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags and contents in a row of DER: https://www.itu.int/rec/T-REC-X.690"""
    end = 0
    while end < len(der):
        tag, size, start = der[end], der[end + 1], end + 2
        if size > 0x7F:  # so many bytes have the size
            start += size & 0x7F
            size = int.from_bytes(der[end + 2 : start])
        end = start + size
        if end > len(der):
            raise ValueError("cut off")
        yield tag, der[start:end]


def _element(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content)
    if size > 0x7F:
        length = size.to_bytes((size.bit_length() + 7) // 8)
        return bytes([tag, 0x80 | len(length)]) + length + content
    return bytes([tag, size]) + content
