"""What an adapter's readers make of a page: numbers or users, and what leads to the next one."""

from collections.abc import Callable, Iterable
from types import GeneratorType
from typing import Any, NamedTuple, TypeVar

from .errors import ProviderError
from .paging import Next, Request
from .provider import PhoneNumber, UnreadNumber, describe


class Page(NamedTuple):
    """A page's numbers, the request for the next one, how to make it, or None; and how many numbers
    all pages have, if the carrier says so."""

    numbers: Iterable[PhoneNumber]
    next: Request | Next | None = None
    total: int | None = None


class User(NamedTuple):
    """A user of the carrier: the id, as in `PhoneNumber.owners`, and the e-mail addresses."""

    id: str
    emails: Iterable[str]


class Users(NamedTuple):
    """A page's users, and what leads to the next one, as in `Page`."""

    users: Iterable[User]
    next: Request | Next | None = None


def owner_ids(*ids: object) -> tuple[str, ...]:
    """Return users' ids, or addresses, as `PhoneNumber.owners` has them: as text, none left out but
    null and empty ones."""
    return tuple(str(id_) for id_ in ids if id_ not in (None, ""))


_Record = TypeVar("_Record")


def each(records: Iterable[_Record], stand_in: Callable[[str], _Record | None]) -> list[Any]:
    """Return each record, and for one that cannot be read what stands in for it, by its fault.

    A generator ends with its first error, and would take the others along: that one is raised.
    """
    reading, found = iter(records), list[Any]()
    while True:
        try:
            for record in reading:
                found.append(record)
            return found
        except ProviderError:
            raise
        except Exception as error:
            if isinstance(reading, GeneratorType):
                raise
            found.append(stand_in(f"[{len(found)}]: {''.join(describe(error))}"))


def unread(fault: str) -> PhoneNumber:
    """Return what stands in for a number that cannot be read, by its fault."""
    return UnreadNumber("", fault=fault)
