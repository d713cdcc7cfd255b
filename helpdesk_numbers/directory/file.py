"""Where the directory in force comes from: a file or folder, taken up anew when edited, or one
account."""

import logging
import mmap
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from providers.base.options import Faults
from providers.base.provider import Provider

from .folder import MergedFiles, is_toml
from .model import Directory, DirectoryRefused, Portal
from .text import read_file
from .toml import parse

log = logging.getLogger(__name__)

MANY, MANY_S = 50, 0.5
"""A folder of more files is looked at so often, in seconds, and not at each request."""

_UNREAD = -1
"""The stamp of a file that could not be read, which no file has: it is tried at each request."""


class DirectoryFile:
    """The directory of a file or a folder of files, taken up anew when edited, or of a text.

    A file with faults is refused with one log line, and the earlier directory stays in force,
    unless another process may have taken up a newer one: then there is none until the file is good,
    lest numbers come back that were taken away. So it is in a process that finds the faults at its
    first look after the fork, and in one that missed an edit which another has taken up.
    """

    _faults: Sequence[str] = ()
    _scanned, _scanned_at = 0, 0.0

    def __init__(
        self, environ: Mapping[str, str], path: str | None, text: str | None = None
    ) -> None:
        """Read the directory; raises Faults with all that is wrong with it."""
        self._environ = environ
        self._path = Path(path) if path and text is None else None
        self._lock = threading.Lock()
        self._looked_pid = os.getpid()
        folder = self._path is not None and self._path.is_dir()
        self._merged = MergedFiles(environ) if folder else None
        self._stamp = self._in_force = self._read_stamp()
        if self._merged and self._path:
            self._directory = self._merged.read_first(self._path)
            self._in_force = self._merged.stamp
        else:
            text = read_file(self._path) if self._path else text or ""
            self._directory = parse(text, environ, name=str(self._path or "DIRECTORY_TOML"))
        # What any process took up last. Those forked from this one share it.
        self._newest = memoryview(mmap.mmap(-1, 8)).cast("q")
        self._newest[0] = self._in_force

    @property
    def faults(self) -> Sequence[str]:
        """Return the faults of the file as it is now, none when it is in force."""
        return self._faults

    @property
    def refused(self) -> int:
        """Return how many faults the file has as it is now, 0 when it is in force."""
        return len(self._faults)

    def of(self, portal_id: int) -> Directory:
        """Return the directory in force now; raises as `current` does."""
        return self.current()

    def counts(self) -> tuple[int, int]:
        """Return how many portals and accounts there are."""
        return len(self.current().portals), len(self.current().accounts)

    def current(self) -> Directory:
        """Return the directory in force, after a look at whether the file has changed.

        While a thread reads the file anew, the others wait for it, so that nobody gets what an edit
        took away whose request came after the edit.

        Raises:
            DirectoryRefused: the file has faults, and what this process has may be out of date.
        """
        inherited = self._looked_pid != os.getpid()
        if self._path and (inherited or self._read_stamp() != self._stamp):
            with self._lock:
                self._look(self._path)
        if self.refused and self._in_force != self._newest[0]:
            raise DirectoryRefused(self.refused)
        return self._directory

    def _look(self, path: Path) -> None:
        if self._stamp != (stamp := self._read_stamp()):  # another thread may have been quicker
            while True:
                directory, error = self._parse(path)
                stamp, read = self._read_stamp(), stamp
                if stamp == read:  # else it was half of an edit, or is the newest no more
                    break
            if directory:
                self._directory = directory
                in_force = self._merged.stamp if self._merged else stamp
                if not error or self._in_force == self._newest[0]:  # of a part, who is up to date
                    self._newest[0] = in_force
                self._in_force = in_force
            if directory and not error:
                self._faults = ()
                log.info("directory_loaded", extra={"portals": len(directory.portals)})
            if error:
                if self._stamp != _UNREAD or error.faults != self._faults:
                    log.error("directory_refused", extra={"faults": error.faults})
                self._faults = error.faults
                if isinstance(error.__cause__, OSError):  # which may pass without an edit
                    stamp = _UNREAD
        if self.refused and self._looked_pid != os.getpid() and not self._merged:
            self._in_force = 0  # nothing says that it is the newest
        self._stamp, self._looked_pid = stamp, os.getpid()  # now nobody waits any longer

    def _parse(self, path: Path) -> tuple[Directory | None, Faults | None]:
        if self._merged:
            return self._merged.read(path, self._directory)
        try:
            return parse(read_file(path), self._environ, self._directory, str(path)), None
        except Faults as error:
            return None, error

    def _read_stamp(self) -> int:
        """Another number for another file or content, 0 for none."""
        try:
            if self._path is None:
                return 0
            if self._merged is None:
                return _stamp_of(os.stat(self._path))
            if time.monotonic() - self._scanned_at > MANY_S:
                with os.scandir(self._path) as entries:
                    files = [(e.name, _stamp_of(e.stat())) for e in entries if is_toml(e.name)]
                self._scanned = hash(tuple(sorted(files)))
                self._scanned_at = time.monotonic() if len(files) > MANY else 0.0
            return self._scanned
        except OSError:
            return 0


def _stamp_of(stat: os.stat_result) -> int:
    return hash((stat.st_mtime_ns, stat.st_size, stat.st_ino))


class SingleAccount:
    """The directory of the one-account mode.

    Only the portals named may see its numbers: whoever else installs the app gets an empty list.
    """

    refused = 0
    faults: Sequence[str] = ()

    def __init__(self, account: Provider, portal_ids: tuple[int, ...]) -> None:
        portals = {portal_id: Portal((account.account,)) for portal_id in portal_ids}
        self._directory = Directory({account.account: account}, portals)

    def current(self) -> Directory:
        """Return the directory, which never changes."""
        return self._directory

    def of(self, portal_id: int) -> Directory:
        """Return the directory."""
        return self._directory

    def counts(self) -> tuple[int, int]:
        """Return how many portals and accounts there are."""
        return len(self._directory.portals), 1
