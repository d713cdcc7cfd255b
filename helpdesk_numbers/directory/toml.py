"""Which accounts serve a portal, and which of their numbers each user may see.

The directory comes from a TOML file (taken up anew when edited), from the same TOML as text, or
from the environment for a single account. docs/directory.md describes the format.
"""

import logging
import os
import re
import struct
import tempfile
import threading
import time
import tomllib
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from hubspot.schema import MAX_ID
from providers import load, prefix
from providers.base.numbers import to_e164
from providers.base.options import FAULTY, Faults, build, did_you_mean, from_environ, sift
from providers.base.provider import Provider

log = logging.getLogger(__name__)

MANY = 20
"""Faults, after which nobody is told what was meant: that takes a look at all names."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user may see. None means no limit; all limits given must hold."""

    numbers: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    owner: str | None = None
    accounts: tuple[str, ...] | None = None


class Grant(msgspec.Struct, frozen=True):
    """One account, under one rule."""

    account: Provider
    rule: Rule


class Portal(msgspec.Struct, frozen=True):
    """A portal's accounts in order, its users' rules, and whether the other users see all."""

    accounts: tuple[str, ...]
    users: Literal["all", "none"] = "all"
    rules: Mapping[int, Rule] = {}


class _PortalTable(msgspec.Struct, forbid_unknown_fields=True):
    accounts: tuple[str, ...]
    users: Literal["all", "none"] = "all"
    user: dict[str, Any] = {}


class Directory:
    """Accounts by name and portals by id, all of them good."""

    def __init__(self, accounts: Mapping[str, Provider], portals: Mapping[int, Portal]) -> None:
        self.accounts = accounts
        self.portals = portals
        self.known: dict[tuple[int | None, int | None], Any] = {}
        """What a lookup keeps by asker for as long as this directory is in force."""

    def asker(self, portal_id: int, user_id: int) -> tuple[int | None, int | None]:
        """Portal and user as far as the directory knows them: who is alike here sees the same."""
        portal = self.portals.get(portal_id)
        if portal is None:
            return None, None
        return portal_id, user_id if user_id in portal.rules else None

    def grants(self, portal_id: int, user_id: int) -> tuple[list[Grant], str]:
        """What the user may see, in the portal's order, and why in words."""
        portal = self.portals.get(portal_id)
        if portal is None:
            return [], "portal not in the directory"
        rule = portal.rules.get(user_id)
        if rule is None and portal.users == "none":
            return [], 'user without a rule, and users = "none"'
        why = "user's rule" if rule else "user without a rule: all numbers"
        rule = rule or Rule()
        if rule.numbers == () or rule.names == ():
            return [], "user's rule allows no number"
        asked = [
            Grant(self.accounts[name], rule)
            for name in portal.accounts
            if rule.accounts is None or name in rule.accounts
        ]
        return asked, why


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


class Source:
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


class OneAccount:
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


def read_account(environ: Mapping[str, str], provider: str, faults: list[str]) -> Provider | None:
    """The one account, named like its provider, out of the `<PROVIDER>_<OPTION>` variables."""
    kind = _kind(_load(provider), "PROVIDER", faults)
    options = from_environ(kind.Options, environ, faults, prefix(provider)) if kind else None
    return _make(kind, options, provider, "PROVIDER", faults) if kind and options else None


def parse(
    text: str,
    environ: Mapping[str, str],
    before: Directory | None = None,
    name: str = "the directory",
) -> Directory:
    """The directory that a TOML text describes. Accounts that `before` has alike are kept.

    Raises:
        Faults: all that is wrong with it, each with its place and without its value. `name` is the
            text's own place.
    """
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # its own, or of an endless number or nesting
        raise Faults([f"{name} is not TOML: {error}"]) from None
    faults: list[str] = []
    for key in tables.keys() - {"accounts", "portals"}:
        faults.append(f"{key}: no such table{did_you_mean(key, ('accounts', 'portals'))}")
    known = _resolve(_table(tables, "accounts", "", faults), "accounts", environ, faults)
    accounts = dict(_accounts(known, faults, before))
    listed = _resolve(_table(tables, "portals", "", faults), "portals", environ, faults)
    portals = dict(_portals(listed, known, faults))
    if not tables.get("portals"):  # a file caught while it is being written, above all
        faults.append("portals: there are none, so nobody would see a number")
    if faults:
        raise Faults(faults)
    return Directory(accounts, portals)


def _table(
    tables: Mapping[str, Any], name: str, above: str, faults: list[str]
) -> dict[str, dict[str, Any]]:
    """The table of tables called `name`, less the entries that are none."""
    found, place = tables.get(name, {}), above + name
    if not isinstance(found, dict):
        faults.append(f"{place}: not a table")
        return {}
    faults += [
        f"{place}.{key}: not a table" for key, value in found.items() if not isinstance(value, dict)
    ]
    return {key: value for key, value in found.items() if isinstance(value, dict)}


def _accounts(
    tables: Mapping[str, dict[str, Any]], faults: list[str], before: Directory | None
) -> Iterator[tuple[str, Provider]]:
    load_once = cache(_load)  # else the packages installed are gone through for each account
    for name, table in tables.items():
        place = f"accounts.{name}"
        provider = table.get("provider")
        if not isinstance(provider, str):
            if provider is not FAULTY:
                faults.append(f"{place}.provider: missing")
            continue
        kind = _kind(load_once(provider), f"{place}.provider", faults)
        given = {key: value for key, value in table.items() if key != "provider"}
        options = build(kind.Options, given, _below(place), faults) if kind else None
        if kind is None or options is None:
            continue
        old = before.accounts.get(name) if before else None
        same = old is not None and type(old) is kind and old.options == options
        made = old if old and same else _make(kind, options, name, place, faults)
        if made:
            yield name, made


def _make(
    kind: type[Provider], options: Provider.Options, name: str, place: str, faults: list[str]
) -> Provider | None:
    try:
        return kind(options, name)
    except Exception as error:  # a third party's, of whatever kind; its text may hold anything
        faults.append(f"{place}: {kind.name} takes no such options: {type(error).__name__}")
        return None


def _portals(
    tables: Mapping[str, dict[str, Any]],
    known: Mapping[str, dict[str, Any]],
    faults: list[str],
) -> Iterator[tuple[int, Portal]]:
    """The portals, as far as they are good: whoever takes them has to look at `faults`."""
    for text, table in tables.items():
        place = f"portals.{text}"
        portal_id = _id(text, place, faults)
        portal = sift(_PortalTable, table, _below(place), faults)
        accounts = portal["accounts"] if "accounts" in portal else tuple(known)
        _check_names(accounts, known, f"{place}.accounts", faults)
        countries = {str(known[name].get("country", "")) for name in accounts if name in known}
        country = countries.pop() if len(countries) == 1 else None
        rules = {}
        for user, limits in _table(portal, "user", f"{place}.", faults).items():
            at = f"{place}.user.{user}"
            user_id = _id(user, at, faults)
            rule = sift(Rule, limits, _below(at), faults)
            _check_names(rule.get("accounts") or (), accounts, f"{at}.accounts", faults)
            if rule.get("numbers"):
                rule["numbers"] = _normalise(rule["numbers"], country, f"{at}.numbers", faults)
            if user_id is not None:
                rules[user_id] = Rule(**rule)
        if portal_id is not None:
            yield portal_id, Portal(accounts, portal.get("users", "none"), rules)


def _below(place: str) -> Callable[[str], str]:
    return lambda name: f"{place}.{name}"


def _load(provider: str) -> type[Provider] | str:
    """The provider's class, or what is wrong with it."""
    try:
        return load(provider)
    except (LookupError, ImportError) as error:
        return str(error.args[0])


def _kind(loaded: type[Provider] | str, place: str, faults: list[str]) -> type[Provider] | None:
    if isinstance(loaded, str):
        faults.append(f"{place}: {loaded}")
        return None
    return loaded


def _normalise(
    numbers: tuple[str, ...], country: str | None, place: str, faults: list[str]
) -> tuple[str, ...]:
    """The numbers in E.164; national forms are read by the accounts' one country."""
    found = [to_e164(text, country or None) for text in numbers]
    faults += [
        f"{place}[{index}]: not a phone number" for index, one in enumerate(found) if one is None
    ]
    return tuple(one.number for one in found if one)


def _check_names(
    names: tuple[str, ...],
    known: Mapping[str, Any] | tuple[str, ...],
    place: str,
    faults: list[str],
) -> None:
    for index, name in enumerate(names):
        if name not in known:
            meant = did_you_mean(name, known) if len(faults) < MANY else ""
            faults.append(f"{place}[{index}]: no account {name!r}{meant}")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise Faults([f"{path}: cannot be read ({error.strerror})"]) from None
    except UnicodeDecodeError:
        raise Faults([f"{path}: cannot be read (it is not UTF-8)"]) from None


def _id(text: str, place: str, faults: list[str]) -> int | None:
    if re.fullmatch(r"[1-9][0-9]{0,18}", text) and int(text) < MAX_ID:
        return int(text)
    faults.append(f"{place}: not an id of HubSpot's, which are positive integers")
    return None


def _resolve(value: Any, at: str, environ: Mapping[str, str], faults: list[str]) -> Any:
    """The value with every `env:NAME` in it replaced, by FAULTY where NAME is not set."""
    if isinstance(value, dict):
        return {key: _resolve(one, f"{at}.{key}", environ, faults) for key, one in value.items()}
    if isinstance(value, list):
        listed = enumerate(value)
        return [_resolve(one, f"{at}[{index}]", environ, faults) for index, one in listed]
    if isinstance(value, str) and value.startswith("env:"):
        name = value.removeprefix("env:")
        if not environ.get(name):
            faults.append(f"{at}: the environment variable {name} is not set")
        return environ.get(name) or FAULTY
    return value
