"""A folder for what lives as long as an instance: in memory if there is room, else on disk."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "helpdesk-numbers-"

ROOM = 1024 * 1024
"""Bytes that must be free. Containers often have 64 MB in /dev/shm; some have none, or may not
write there: https://github.com/benoitc/gunicorn/issues/1388"""


def memory_folder() -> str | None:
    """Return /dev/shm if files can be written there, else None: use the temporary folder."""
    return "/dev/shm" if _has_room("/dev/shm") else None  # noqa: S108 - no name of ours


def _has_room(folder: str) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            os.posix_fallocate(probe.fileno(), 0, ROOM)
    except (OSError, AttributeError):  # macOS has neither
        return False
    return True


class ScratchFolder:
    """A folder that this user alone may read, until `remove`.

    What an instance leaves that was killed, the next one removes: while one lives, it and its
    workers hold a lock.
    """

    def __init__(self) -> None:
        parent = Path(memory_folder() or tempfile.gettempdir())
        for left in parent.glob(f"{PREFIX}*"):
            _remove_unlocked(left)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self._lock = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_unlocked(folder: Path) -> None:
    with suppress(OSError):  # it is somebody else's, or gone by now
        if folder.stat().st_uid != os.geteuid():
            return
        lock = os.open(folder / "lock", os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
