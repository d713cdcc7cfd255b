"""The contract's tests of pages: all of them, in order, none twice, and never a part."""

import re
import threading
from base64 import b64decode
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

import pytest

from ..base.errors import Unreadable
from ..base.http import HTTPProvider
from ..base.options import Problems, build
from ..base.provider import Deadline, Query
from .carrier import Asked, Carrier, Reply
from .local import e164
from .paging import ABSENT, ByLink, ByNumber, ByToken, Unpaged, put
from .played import PlayedContract, made

_SECRET_NAME = re.compile("secret|password|passphrase|jwt|(auth|api|access)_?token")
"""What options are called that have to be secrets."""


class PageTests(PlayedContract):
    """Whether the adapter reads all pages."""

    @pytest.mark.parametrize("count", ["none", "1000", "whole pages", "one more"])
    def test_all_pages_are_read_in_order_in_the_fewest_requests(self, count: str) -> None:
        largest = self.paging.largest
        several = 0 if isinstance(self.paging, Unpaged) else 2 * largest
        size = {"none": 0, "1000": 1000, "whole pages": several, "one more": several + 1}
        total = size[count]
        self.listed = [self.make(index) for index in range(total)]
        found = self.account().ask(Query())
        assert [e164(number) for number in found] == [made(index) for index in range(total)]
        assert len(self.listings()) == self.paging.fewest(total)
        if self.name_at:
            assert [number.name for number in found] == [f"Line {n}" for n in range(total)]

    def test_pages_are_asked_for_side_by_side_or_one_after_another(self) -> None:
        if isinstance(self.paging, Unpaged):
            return
        self.listed = [self.make(index) for index in range(2 * self.paging.largest + 1)]
        inside, two = 0, threading.Event()

        def wait(asked: Asked) -> None:
            nonlocal inside
            if self.is_at("a later page", asked):
                inside += 1
                if inside == 2:
                    two.set()
                two.wait(10 if self.side_by_side else 0.1)
                inside -= 1

        self.spoil = wait
        assert len(self.account().ask(Query(deadline=Deadline(30)))) == len(self.listed)
        assert two.is_set() is self.side_by_side

    def test_an_empty_page_is_not_the_end(self) -> None:
        self.listed = [self.make(index) for index in range(3)]
        if isinstance(self.paging, ByLink | ByToken):
            self.bend = lambda shown: (
                replace(shown, items=[], following=0) if len(self.listings()) == 1 else shown
            )
        assert len(self.account().ask(Query())) == 3

    def test_an_empty_page_that_leads_to_itself_is_the_end(self) -> None:
        if isinstance(self.paging, ByLink | ByToken):
            end = self.paging.largest
            self.listed = [self.make(index) for index in range(end + 1)]
            self.bend = lambda shown: (
                replace(shown, items=[], following=end) if shown.start else shown
            )
            assert len(self.account().ask(Query())) == end

    def test_empty_pages_without_end_are_given_up(self) -> None:
        if isinstance(self.paging, ByLink | ByToken):
            self.bend = lambda shown: replace(shown, items=[], following=shown.start + 1)
            assert type(self.fails()) is Unreadable
            assert len(self.listings()) < 50

    def test_after_a_cursor_that_has_ended_the_list_is_read_again_once(self) -> None:
        if isinstance(self.paging, Unpaged):
            return
        self.listed = [self.make(index) for index in range(self.paging.largest + 1)]
        stale = [Reply({"code": 7}, 400)]
        self.spoil = lambda asked: (
            stale.pop() if stale and self.is_at("a later page", asked) else None
        )
        assert len(self.account().ask(Query())) == len(self.listed)
        assert not stale

    def test_pages_in_a_circle_are_refused(self) -> None:
        if isinstance(self.paging, ByLink | ByToken):
            largest = self.paging.largest
            self.listed = [self.make(index) for index in range(largest + 1)]
            self.bend = lambda shown: replace(shown, following=0 if shown.start else largest)
            assert type(self.fails()) is Unreadable
            assert len(self.listings()) == 3

    def test_a_page_that_leads_to_itself_is_refused(self) -> None:
        if isinstance(self.paging, ByLink | ByToken):
            self.bend = lambda shown: replace(shown, following=0)
            assert type(self.fails()) is Unreadable
            assert len(self.listings()) == 2

    def test_a_link_to_another_host_is_refused(self) -> None:
        if isinstance(self.paging, ByLink):
            with Carrier(lambda _: Reply({}, 401)) as stranger:
                for host in (stranger.url, stranger.url.removeprefix("http:")):
                    self.bend = partial(replace, following=0, host=host)
                    error = self.fails()
                    # a vendor's client may take any link for a path on its own host
                    assert type(error) is Unreadable or not issubclass(self.provider, HTTPProvider)
                assert not stranger.asked

    def test_a_next_page_that_is_not_told_is_no_end(self) -> None:
        """The field that leads there was renamed, say: a part is never the whole."""
        paging = self.paging
        if isinstance(paging, ByLink | ByToken) and paging.last is not ABSENT:
            left_out = [paging.at]
        elif isinstance(paging, ByNumber):
            left_out = list(filter(None, [paging.pages_at, paging.total_at]))
        else:
            left_out = []  # where the last page has no such field, nothing tells the two apart
        if not left_out or not isinstance(self.documented, dict):
            return
        self.listed = [self.make(index) for index in range(paging.largest + 1)]

        def cut(asked: Asked) -> Reply | None:
            shown = paging.shown(asked, self.listed) if asked.path == self.path else None
            if shown is None:
                return None
            body = self.body(shown)
            for at in left_out:
                put(body, at, ABSENT)
            return Reply(body)

        self.spoil = cut
        try:
            found = self.account().ask(Query())
        except Unreadable:
            return
        assert len(found) == len(self.listed), "a part of the numbers, and no error"

    def test_a_page_made_smaller_without_a_word_loses_nothing(self) -> None:
        """The most that a page may hold was lowered, say: a part is never the whole."""
        paging = self.paging
        if isinstance(paging, Unpaged) or paging.largest < 2:
            return
        self.listed = [self.make(index) for index in range(2 * paging.largest + 1)]
        self.paging = replace(paging, largest=paging.largest // 2, lowers=True)  # type: ignore[misc]
        try:
            found = self.account().ask(Query())
        except Unreadable:
            return
        assert len(found) == len(self.listed), "a part of the numbers, and no error"

    # What the test says and no other test sees

    def test_the_real_host_is_the_carriers(self) -> None:
        if self.host:
            given = {k: v for k, v in self.settings().items() if k not in ("base_url", "oauth_url")}
            options = build(self.provider.Options, given, Problems())
            account = self.provider(options) if options else None
            assert isinstance(account, HTTPProvider)
            parts = urlsplit(account.base())
            assert f"{parts.scheme}://{parts.netloc}" == self.host

    def test_what_authorises_is_a_secret(self) -> None:
        """Declared as `Secret`, else it shows in logs and errors."""
        kind, _, given = self.authorization.partition(" ")
        if kind == "Basic":
            given = b64decode(given).decode().partition(":")[2]
        for name in self.options.keys() - self.secret_options():
            value = str(self.options[name] or "")
            assert len(value) < 8 or value != given, f"{name} is no Secret"
            assert not _SECRET_NAME.search(name), f"{name} is no Secret"
