"""`HTTPProvider`, the base of adapters that need no more than constants and pure readers."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from .decoding import decode_json
from .errors import RateLimited, Unreadable
from .listing import Answer as Answer
from .listing import Listing as Listing
from .listing import carriers_words
from .national import complete
from .options import URL, Secret
from .pace import Pace
from .paging import Ahead, next_link
from .paging import Next as Next
from .paging import Request as Request
from .provider import ANYBODY, PhoneNumber, Provider, Query, UnreadNumber
from .records import Page as Page
from .records import User as User
from .records import Users as Users
from .records import each, unread
from .walk import MOST_REFUSALS, StaleCursor, walk

BaseURL = Annotated[URL, Meta(description="another host: a proxy, a region, a test server")]

JSON = dict[str, Any]
"""A JSON object whose fields may be null, missing or odd: a number's, above all."""


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header of HTTP Basic, in UTF-8: https://www.rfc-editor.org/rfc/rfc7617"""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a key or token: https://www.rfc-editor.org/rfc/rfc6750"""
    return {"Authorization": f"Bearer {token}"}


class HTTPProvider(Provider):
    """An adapter of constants and pure readers: no `try`, no status codes, no environment, no loop.

    A missing key or a wrong type in an answer becomes Unreadable, with its place; in a number's own
    record it costs that number alone, if the readers are lazy: `map(_read, reply.items)`.
    """

    base_url: ClassVar[str]
    """May name options in braces: `https://{region}.larkline.example`."""

    Reply: ClassVar[Any] = Any
    """The type that an answer's JSON is decoded to: a msgspec Struct that names the fields wanted,
    or any JSON value if left out. Say what has to be there, and leave numbers to be `JSON`."""

    UserReply: ClassVar[Any] = Any
    """The same for the answer to `first_users`."""

    keeps_deadline = True

    narrows = frozenset()
    """The parts of a query that `first_page` asks for less by, such as `numbers`: it sees no
    others."""

    link_header: ClassVar[bool] = False
    """Whether an answer's header `Link` leads to the next page, of numbers and of users."""

    no_content: ClassVar[bytes] = b""
    """The body that a 204 stands for, at carriers that answer so when there are no numbers."""

    retry_after: ClassVar[tuple[str, ...]] = ("Retry-After",)
    """Headers that say when to come back, the first that is there. Seconds, UNIX time, HTTP dates
    and ISO 8601 are understood."""

    error_code_at: ClassVar[tuple[str, ...]] = ("code",)
    """Places of the carrier's own code in the body of an error, dotted: `errors.0.code`. Of XML,
    the element's name; a header's has a colon after it: `x-error:`. The first that is there is
    shown."""

    request_id_at: ClassVar[str] = ""
    """The place of the request's id in it, which the carrier's support asks for."""

    pace: ClassVar[tuple[int, float] | None] = None
    """How many requests for pages the carrier takes at once, and one each how many seconds after
    them, where that is less than a listing may need."""

    class Options(Provider.Options, frozen=True, kw_only=True):
        base_url: BaseURL = ""

    options: Options

    def __init__(self, options: Any, account: str = "") -> None:
        super().__init__(options, account)
        import_module(f"{__package__}.transport").trusted()  # before the workers are forked
        self._pace = Pace(*self.pace) if self.pace else None

    @property
    def finds_users(self) -> bool:
        return type(self).first_users is not HTTPProvider.first_users

    def base(self) -> str:
        """Return the URL that requests go below."""
        return self.options.base_url or self.filled(self.base_url)

    def filled(self, url: str) -> str:
        """Return a URL with the options that it names in braces."""
        return url.format_map(msgspec.structs.asdict(self.options)) if "{" in url else url

    def headers(self) -> Mapping[str, str]:
        """Return the headers of every request, authorisation above all: see `basic`, `bearer`."""
        return {}

    def authorise(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        """Return the headers that a request is sent with, where each is signed: see `signing`.

        It is called for every try, with the whole URL and the body as they are sent.
        """
        return headers

    def first_page(self, query: Query) -> Request:
        """Return the request that a listing starts with."""
        raise NotImplementedError

    def read_page(self, reply: Any) -> Page:
        """Return the numbers of a decoded answer, and what leads to the next page."""
        raise NotImplementedError

    def first_users(self, email: str | None) -> Request:
        """Return the request for the users, where numbers have their owners' ids alone: for the
        one with this address, and others if need be, or for all of them.

        It is sent only for rules that name an address.
        """
        raise NotImplementedError

    def read_users(self, reply: Any) -> Users:
        """Return the users of a decoded answer to `first_users`, and what leads to more."""
        raise NotImplementedError

    def decode(self, body: bytes) -> Any:
        """Return an answer's bytes as `Reply`; carriers that do not speak JSON override it."""
        return decode_json(body, self.Reply)

    def fetch(self, listing: Listing, request: Request) -> Answer:
        """Send a request with this account's authorisation; fails as `Listing.get` does."""
        return listing.ask(request, self.headers())

    def _in_pace(self, listing: Listing, request: Request) -> Answer:
        """As `fetch`, at the carrier's pace, and again if others of its customer's were faster."""
        if self._pace is None:
            return self.fetch(listing, request)
        for refusals in range(MOST_REFUSALS + 1):
            self._pace.wait(listing.query.deadline)
            try:
                return self.fetch(listing, request)
            except RateLimited as error:
                if refusals == MOST_REFUSALS or (error.retry_after_s or 0) > self._pace.every_s:
                    raise
        raise AssertionError("it counts to the end")  # which mypy does not know

    def listing(self, query: Query) -> Listing:
        """Return what a walk through the pages asks with."""
        return Listing(self.base(), query, self.retry_after, self.explain, self.authorise)

    def explain(self, answer: Answer) -> str:
        """Return the carrier's own error code and request id in words, if its error has any; never
        a text, which may hold anything."""
        secrets = [
            value for value in msgspec.structs.astuple(self.options) if isinstance(value, Secret)
        ]
        return carriers_words(answer, self.error_code_at, self.request_id_at, secrets)

    def ask(self, query: Query) -> list[PhoneNumber]:
        try:
            listed = super().ask(query)
        except StaleCursor:  # once: the list may have changed while it was read
            query.progress.restart()
            try:
                listed = super().ask(query)
            except StaleCursor as error:
                raise self._unreadable(f"{error}, twice") from error
        numbers = complete(listed, self.options.country)
        unread = [number for number in numbers if isinstance(number, UnreadNumber)]
        if unread and len(unread) == len(numbers):  # not an odd record: another format
            raise self._unreadable(f"no number can be read: {unread[0].fault}")
        return numbers

    def _unreadable(self, message: str) -> Unreadable:
        error = Unreadable(message)
        error.account, error.provider = self.account, self.name
        return error

    def list_numbers(self, query: Query) -> Iterable[PhoneNumber]:
        listing = self.listing(query)
        emails_in_time = self._emails_beside(listing, query.owner or "")
        for page in self.pages(listing, self.first_page(query)):
            emails = emails_in_time()
            for number in page.numbers:
                addresses = [email for owner in number.owners for email in emails.get(owner, ())]
                if addresses:
                    yield msgspec.structs.replace(number, owners=(*number.owners, *addresses))
                else:
                    yield number

    def pages(self, listing: Listing, first: Request) -> Iterator[Page]:
        """Walk through the pages of numbers, from the request for the first one."""

        progress, side_by_side, came = listing.query.progress, False, 0
        total: int | None = None

        def read(answer: Answer) -> tuple[Page, list[PhoneNumber], object]:
            nonlocal side_by_side, came, total
            page = self.read_page(self.decode(self._body(answer)))
            numbers = each(page.numbers, unread)
            progress.advance(len(numbers), page.total)
            side_by_side = side_by_side or isinstance(page.next, Ahead)
            came, total = came + len(numbers), page.total
            return page._replace(numbers=numbers), numbers, page.next or self._linked(answer)

        yield from walk(listing, first, partial(self._in_pace, listing), read)
        # A number that is deleted while pages are read by their number moves another to a page
        # that was read already. What is short twice was counted otherwise by the carrier.
        if side_by_side and total and came < total and not progress.restarted:
            raise StaleCursor(f"{came} numbers came of {total}")

    def _emails_beside(
        self, listing: Listing, owner: str
    ) -> Callable[[], Mapping[str, Sequence[str]]]:
        """What waits for the addresses by user id, which are read while the numbers are; none if
        the query needs none."""
        if not (self.finds_users and "@" in owner):
            return dict
        from concurrent.futures import ThreadPoolExecutor  # not above: most need none

        threads = ThreadPoolExecutor(1, "users")
        try:
            return threads.submit(self._emails, listing, owner).result
        except RuntimeError as error:  # no thread can be started
            raise Unreadable(f"the users cannot be asked for: {error}") from error
        finally:
            threads.shutdown(wait=False)

    def _emails(self, listing: Listing, owner: str) -> dict[str, list[str]]:
        """Addresses by user id."""
        faults: list[str] = []

        def read(answer: Answer) -> tuple[list[User], list[User], object]:
            page = self.read_users(decode_json(self._body(answer), self.UserReply))
            users = list(filter(None, each(page.users, faults.append)))
            listing.query.progress.advance(0)
            return users, users, page.next or self._linked(answer)

        first = self.first_users(None if owner == ANYBODY else owner)
        pages = walk(listing, first, partial(self._in_pace, listing), read)
        found = {
            user.id: [email for email in user.emails if email] for page in pages for user in page
        }
        known = {email.casefold() for emails in found.values() for email in emails}
        if faults and not (found if owner == ANYBODY else owner.casefold() in known):
            raise Unreadable(f"a user cannot be read: {faults[0]}")  # who may be the owner
        return found

    def _linked(self, answer: Answer) -> Request | None:
        return next_link(answer.header("Link")) if self.link_header else None

    def _body(self, answer: Answer) -> bytes:
        return self.no_content if answer.status == 204 else answer.body
