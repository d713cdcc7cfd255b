"""Where the directory in force comes from: a file, taken up anew when edited, or one account."""

import logging
import os
import struct
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from providers.base.options import Faults, Problems
from providers.base.provider import Provider

from .model import Directory, Portal
from .toml import parse

log = logging.getLogger(__name__)


class TextInForce:
    """The text that any process took up last. Those forked from the one that made this share it.

    It may hold secrets, so it is kept in a file without a name. Where none can be had, each process
    knows only what it has read itself.
    """

    def __init__(self) -> None:
        self._file = _nameless_file()
        if self._file:
            weakref.finalize(self, self._file.close)

    def put(self, text: str, read_at_ns: int) -> None:
        """Keep it, unless what is kept was read later."""
        data = text.encode()
        with suppress(OSError), self._locked() as (fd, kept_at_ns, begin, length):
            if read_at_ns > kept_at_ns:
                # Beside the one before, which is still the one kept if this process is killed here.
                begin = _HEAD.size if _HEAD.size + len(data) <= begin else begin + length
                if os.pwrite(fd, data, begin) == len(data):
                    os.pwrite(fd, _HEAD.pack(read_at_ns, begin, len(data)), 0)

    def later_than(self, read_at_ns: int) -> tuple[str, int] | None:
        """What is kept and when it was read, if that was later."""
        with suppress(OSError), self._locked() as (fd, kept_at_ns, begin, length):
            if kept_at_ns > read_at_ns:
                return os.pread(fd, length, begin).decode(), kept_at_ns
        return None

    @contextmanager
    def _locked(self) -> Iterator[tuple[int, int, int, int]]:
        """The file and what its head says."""
        if self._file is None:
            raise OSError("there is no such file")
        fd = self._file.fileno()
        # Not flock, which an inherited file has once for all processes, like its position.
        os.lockf(fd, os.F_LOCK, 0)
        try:
            read_at_ns, begin, length = _HEAD.unpack(os.pread(fd, _HEAD.size, 0) or _EMPTY)
            yield fd, read_at_ns, begin, length
        finally:
            os.lockf(fd, os.F_ULOCK, 0)


_HEAD = struct.Struct("qqq")  # when the text was read, where it begins, its bytes
_EMPTY = _HEAD.pack(0, _HEAD.size, 0)


def _nameless_file() -> IO[bytes] | None:
    if not hasattr(os, "fork"):
        return None  # nor anybody to inherit it
    with suppress(OSError):  # not in every sandbox
        if hasattr(os, "memfd_create"):
            return open(os.memfd_create("directory"), "w+b", buffering=0)
    with suppress(OSError):  # nowhere to write
        return tempfile.TemporaryFile(buffering=0)
    return None


class DirectoryFile:
    """Where the directory comes from. `current()` gives the one in force.

    A file that is edited is taken up at the next request; one with faults is refused with one log
    line, and the directory before it stays in force: the one that any worker took up last, since a
    worker that replaces another inherits the directory of the start.
    """

    def __init__(
        self, environ: Mapping[str, str], path: str | None, text: str | None = None
    ) -> None:
        """Raises Faults if the directory has any."""
        self.refused = 0
        """Faults of the file as it is now, 0 when it is in force."""
        self._environ = environ
        self._path = Path(path) if path else None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._in_force = TextInForce()
        self._read_at_ns = time.monotonic_ns()
        self._stamp = self._read_stamp()
        name = "DIRECTORY_TOML"
        if text is None and self._path:
            text, name = _read(self._path), str(self._path)
        self._directory = parse(text or "", environ, None, name)

    def current(self) -> Directory:
        """The directory in force, after a look at whether the file has changed.

        While a thread reads the file anew, the others go on with what they have, unless that is
        inherited: it may be long out of date.
        """
        inherited = self._pid != os.getpid()
        changed = inherited or self.refused or self._read_stamp() != self._stamp
        if self._path and changed and self._lock.acquire(blocking=inherited):
            try:
                if self._read_stamp() != self._stamp:  # another thread may have been quicker
                    self._reload(self._path)
                if self.refused:  # another process may have taken up the text before it
                    self._catch_up()
                self._pid = os.getpid()
            finally:
                self._lock.release()
        return self._directory

    def _reload(self, path: Path) -> None:
        read_at_ns = time.monotonic_ns()
        self._stamp = self._read_stamp()
        try:
            text = _read(path)
            directory = parse(text, self._environ, self._directory, str(path))
        except Faults as error:
            self.refused = len(error.faults)
            log.error("directory_refused", extra={"faults": error.faults})
        else:
            self._in_force.put(text, read_at_ns)
            self._read_at_ns, self._directory = read_at_ns, directory
            self.refused = 0
            log.info("directory_loaded", extra={"portals": len(directory.portals)})

    def _catch_up(self) -> None:
        if later := self._in_force.later_than(self._read_at_ns):
            text, read_at_ns = later
            with suppress(Faults):  # of an adapter that another process could load and this cannot
                self._directory = parse(text, self._environ, self._directory)
                self._read_at_ns = read_at_ns

    def _read_stamp(self) -> tuple[int, ...]:
        try:
            stat = os.stat(self._path) if self._path else None
        except OSError:
            stat = None
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino) if stat else ()


class SingleAccount:
    """The directory of the one-account mode.

    Only the portals named may see its numbers: whoever else installs the app gets an empty list.
    """

    refused = 0

    def __init__(self, account: Provider, portal_ids: tuple[int, ...]) -> None:
        portals = {portal_id: Portal((account.account,)) for portal_id in portal_ids}
        self._directory = Directory({account.account: account}, portals)

    def current(self) -> Directory:
        """The directory."""
        return self._directory


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        reason = error.strerror
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    problems = Problems(str(path))
    remedy = "correct DIRECTORY; a relative path counts from where the service starts"
    problems.add(f"cannot be read ({reason})", remedy)
    raise Faults(problems.lines)
