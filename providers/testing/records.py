"""The contract's tests of records: numbers, whatever is odd about them, and their users."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

from ..base.provider import ANYBODY, Query
from .carrier import Asked, Reply
from .local import by_rule, e164
from .paging import ABSENT, Shown, put
from .played import PlayedContract, made


class RecordTests(PlayedContract):
    """Whether the adapter reads records."""

    def test_numbers_that_cannot_take_calls_say_so(self) -> None:
        for changes in ({}, *self.unusable):
            item = self.items()[0]
            for at, value in changes.items():
                put(item, at, value)
            self.listed = [item]
            (number,) = self.account().ask(Query())
            assert number.voice is not bool(changes), changes

    def test_null_missing_and_odd_fields_are_survived(self) -> None:
        for at, value in places(self.items()[0]):
            scalar = isinstance(value, str | int) and at not in self.strict_at
            odd = [12345, "an odd word", ""] if scalar else []
            for change in [None, ABSENT, *(odd if at != self.number_at else [""])]:
                self.listed = [self.make(0), self.make(1)]
                put(self.listed[0], at, change)
                numbers = self.account().ask(Query())
                hidden = f"{self.number_at}.".startswith(f"{at}.")  # it, or what it stands in
                wanted = [made(1)] if hidden else [made(0), made(1)]
                assert list(filter(None, map(e164, numbers))) == wanted, (at, change)
                owners = {owner for number in numbers for owner in number.owners}
                assert not owners & {"None", "null"}, (at, change)

    def test_an_address_stands_for_its_users_ids(self) -> None:
        everything = self.account().ask(Query())
        for email, ids in self.users.items():
            wanted = set().union(*(by_rule(everything, (), (), one) for one in ids))
            assert wanted, "no documented item belongs to the user"
            for owner in (email, ANYBODY):
                found = self.account().ask(Query(owner=owner))
                assert by_rule(found, (), (), email) == wanted

    def test_users_are_read_to_the_last_page_and_odd_ones_are_survived(self) -> None:
        if not self.users_at:
            return
        email, ids = next(iter(self.users.items()))
        wanted = by_rule(self.account().ask(Query(owner=email)), (), (), email)
        assert wanted, f"nothing belongs to {ids}"
        odd_ones: list[Any] = ["a page before it", None, "no address", {}]
        for odd in odd_ones:
            said = [self.other_page(odd)]

            def answer(asked: Asked, odd: Any = odd, said: list[Any] = said) -> Any:
                if asked.path == self.path or not self.authorised(asked):
                    return None
                reply = self.other(asked)
                if not isinstance(reply, Reply) or reply.status != 200:
                    return None
                return said.pop()(reply, asked) if said else None

            self.spoil = answer
            found = self.account().ask(Query(owner=email))
            assert by_rule(found, (), (), email) == wanted, odd
            self.spoil = None

    def other_page(self, odd: Any) -> Callable[[Reply, Asked], Reply]:
        """Makes the answer about users one of several, or one with an odd user in it."""

        def spoilt(reply: Reply, asked: Asked) -> Reply:
            body = copy.deepcopy(reply.body)
            above = body
            *path, last = self.users_at.split(".")
            for key in path:
                above = above[key]
            if odd == "a page before it":
                above[last] = []
                shown = Shown(asked, [], 0, 1, 2, 1)
                paging = self.users_paging or self.paging
                for at, value in paging.fields(shown).items():
                    put(body, at, value)
                return Reply(body, headers=paging.headers(shown))
            elif odd == "no address":
                user = copy.deepcopy(above[last][0])
                put(user, self.email_at, ABSENT)
                above[last].insert(0, user)
            else:
                above[last].insert(0, odd)
            return Reply(body)

        return spoilt

    def test_an_unknown_address_owns_nothing(self) -> None:
        nobody = "nobody@acme.example"
        assert not by_rule(self.account().ask(Query(owner=nobody)), (), (), nobody)


def places(item: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Each field of an item, and of the objects in it, by its dotted place."""
    for name, value in item.items():
        yield f"{above}{name}", value
        if isinstance(value, dict):
            yield from places(value, f"{above}{name}.")
