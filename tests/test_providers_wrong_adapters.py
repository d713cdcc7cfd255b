"""The contract catches adapters that are wrong."""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import pytest

import providers
from providers import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, User, Users
from providers.base.http import Listing
from providers.base.oauth import TokenRequest
from providers.ringcentral import RingCentral
from providers.zoom import Zoom
from tests.support.wrong import assert_fails
from tests.test_providers_contract import Larkline

pytest_plugins = ["pytester"]


class LastPageSkipped(Larkline):
    def read_page(self, reply: Larkline.Reply) -> Page:
        page = super().read_page(reply)
        return page if page.next or len(reply.lines) < 3 else Page(())


class OnePageOnly(Larkline):
    def read_page(self, reply: Larkline.Reply) -> Page:
        return Page(super().read_page(reply).numbers)


class SmallPages(Larkline):
    def first_page(self, query: Query) -> Request:
        return Request("accounts/7/lines", {"limit": 100})


class HugePages(Larkline):
    def first_page(self, query: Query) -> Request:
        return Request("accounts/7/lines", {"limit": 1000})


class Backwards(Larkline):
    def read_page(self, reply: Larkline.Reply) -> Page:
        page = super().read_page(reply)
        return Page(reversed(list(page.numbers)), page.next)


class EndsAtAnEmptyPage(Larkline):
    def read_page(self, reply: Larkline.Reply) -> Page:
        return super().read_page(reply) if reply.lines else Page(())


class VoiceIgnored(Larkline):
    def read_number(self, line: JSON) -> PhoneNumber:
        return msgspec.structs.replace(super().read_number(line), voice=True)


class LabelRequired(Larkline):
    def read_number(self, line: JSON) -> PhoneNumber:
        return msgspec.structs.replace(super().read_number(line), name=line["label"].strip())


class Narrowing(Larkline):
    """Takes patterns for whole names, as some carriers' filters do."""

    def list_numbers(self, query: Query) -> list[PhoneNumber]:
        found = super().list_numbers(query)
        return [number for number in found if not query.names or number.name in query.names]


class KeyInTheURL(Larkline):
    def first_page(self, query: Query) -> Request:
        return Request("accounts/7/lines", {"limit": 250, "key": self.options.api_key})


class KeyLogged(Larkline):
    def headers(self) -> Mapping[str, str]:
        logging.getLogger("larkline").debug("with %s", dict(super().headers()))
        return super().headers()


class KeyInTheError(Larkline):
    def list_numbers(self, query: Query) -> list[PhoneNumber]:
        try:
            return list(super().list_numbers(query))
        except providers.Refused:
            raise providers.Refused("see the cause") from ValueError(f"{self.options.api_key}")


class FailuresSwallowed(Larkline):
    def list_numbers(self, query: Query) -> list[PhoneNumber]:
        try:
            return list(super().list_numbers(query))
        except providers.ProviderError:
            return []


class LaterFailuresSwallowed(Larkline):
    def list_numbers(self, query: Query) -> list[PhoneNumber]:
        found: list[PhoneNumber] = []
        try:
            found.extend(super().list_numbers(query))
        except providers.ProviderError:
            if not found:
                raise
        return found


class WrongShapeIsEmpty(Larkline):
    Reply: ClassVar[Any] = Any

    def read_page(self, reply: Any) -> Page:
        lines = reply.get("lines") if isinstance(reply, dict) else None
        return Page([self.read_number(line) for line in lines or [] if isinstance(line, dict)])


class SharedState(Larkline):
    """Keeps what it has found on itself, where another thread's listing clears it."""

    def list_numbers(self, query: Query) -> list[PhoneNumber]:
        self.found: list[PhoneNumber] = []
        for number in super().list_numbers(query):
            self.found.append(number)
        return self.found


class OptionsUntyped(Larkline):
    class Options(Larkline.Options, frozen=True, kw_only=True):
        account_id: str = "7"
        api_key: str = "not-a-real-key"  # type: ignore[assignment] # no Secret: that is the fault
        colour: str = "blue"


class TokenFetchedEachTime(RingCentral):
    def fetch(self, listing: Any, request: Request) -> Any:
        self._until = 0.0
        return super().fetch(listing, request)


class TokenKeptForEver(RingCentral):
    def _current(
        self, wanted: TokenRequest, listing: Listing, refused: str = ""
    ) -> tuple[str, bool]:
        return super()._current(wanted, listing)


class SecretAsText(Larkline):
    class Options(Larkline.Options, frozen=True, kw_only=True):
        api_key: str  # type: ignore[assignment] # no Secret: that is the fault


class NextMayBeMissing(Larkline):
    def read_page(self, reply: Larkline.Reply) -> Page:
        page = super().read_page(reply) if "next" in reply.links else None
        return page or Page(map(self.read_number, reply.lines))


class OwnerOfNobody(Larkline):
    def read_number(self, line: JSON) -> PhoneNumber:
        users = line.get("users", [None])
        owners = tuple(str(user) for user in users or [None])
        return msgspec.structs.replace(super().read_number(line), owners=owners)


class SizeMisspelt(Larkline):
    def first_page(self, query: Query) -> Request:
        return Request("accounts/7/lines", {"limits": 250})


class KindNeverSent(Larkline):
    """Lists active lines alone, where the carrier has a parameter for all of them."""


class WrongHost(Larkline):
    base_url = "https://api.larkline.invalid/v2/"


class UsersOfTheFirstPage(Zoom):
    def read_users(self, reply: Any) -> Users:
        return Users(super().read_users(reply).users)


class NullUserFatal(Zoom):
    def read_users(self, reply: Any) -> Users:
        page = super().read_users(reply)
        return page._replace(
            users=[User(str(user["id"]), [user.get("email") or ""]) for user in reply.users]
        )


class AddressRequired(Zoom):
    def read_users(self, reply: Any) -> Users:
        page = super().read_users(reply)
        return page._replace(
            users=[User(str(user["id"]), [user["email"]]) for user in reply.users if user]
        )


class NumberOfAnotherField(Larkline):
    def read_number(self, line: JSON) -> PhoneNumber:
        return msgspec.structs.replace(super().read_number(line), number=str(line.get("ext")))


class StatusOfTomorrow(Larkline):
    def read_number(self, line: JSON) -> PhoneNumber:
        voice = line.get("status") not in ("parked",)
        return msgspec.structs.replace(super().read_number(line), voice=voice)


WRONG: list[tuple[type[HTTPProvider], str]] = [
    (LastPageSkipped, "all_pages"),
    (OnePageOnly, "all_pages"),
    (SmallPages, "fewest_requests"),
    (HugePages, "documented"),
    (Backwards, "in_order"),
    (EndsAtAnEmptyPage, "empty_page"),
    (VoiceIgnored, "cannot_take_calls"),
    (LabelRequired, "odd_fields"),
    (Narrowing, "a_rule"),
    (KeyInTheURL, "documented"),
    (KeyLogged, "documented"),
    (KeyInTheError, "told_apart and 401"),
    (FailuresSwallowed, "told_apart and 401"),
    (LaterFailuresSwallowed, "told_apart and 503 and later"),
    (WrongShapeIsEmpty, "wrong_shape"),
    (SharedState, "threads"),
    (OptionsUntyped, "unknown_option"),
    (SecretAsText, "authorises"),
    (NextMayBeMissing, "not_told"),
    (OwnerOfNobody, "odd_fields"),
    (SizeMisspelt, "fewest_requests"),
    (KindNeverSent, "documented"),
    (WrongHost, "real_host"),
    (UsersOfTheFirstPage, "users_are_read"),
    (NullUserFatal, "users_are_read"),
    (AddressRequired, "users_are_read"),
    (NumberOfAnotherField, "documented"),
    (StatusOfTomorrow, "cannot_take_calls"),
    (TokenFetchedEachTime, "share_a_token"),
    (TokenKeptForEver, "revoked"),
]


RIGHT: dict[type[HTTPProvider], tuple[str, str]] = {
    SizeMisspelt: ("TestLarklineOfUnknownDefault", "test_providers_contract"),
    KindNeverSent: ("TestLarklineWithKind", "test_providers_contract"),
    RingCentral: ("TestRingCentral", "test_providers_ringcentral"),
    Zoom: ("TestZoom", "test_providers_zoom"),
    Larkline: ("TestLarkline", "test_providers_contract"),
}
"""The contract of the adapter that each is a fault away from."""


@pytest.mark.parametrize(("wrong", "test"), WRONG, ids=[wrong.__name__ for wrong, _ in WRONG])
def test_a_wrong_adapter_fails(
    pytester: pytest.Pytester, wrong: type[HTTPProvider], test: str
) -> None:
    right, home = next(at for kind, at in RIGHT.items() if issubclass(wrong, kind))
    assert_fails(pytester, wrong, test, f"{home}.{right}")
