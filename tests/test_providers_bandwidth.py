"""Bandwidth: the contract, and what only Bandwidth does."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest

from providers.bandwidth import Bandwidth
from providers.base.errors import Refused, Unreadable
from providers.base.http import basic
from providers.base.options import Problems, build
from providers.base.provider import PhoneNumber, Query
from providers.testing import ABSENT, ByToken, Carrier, OAuthContract, Reply, Shown

DATA = Path(__file__).parent / "data" / "bandwidth"
API_CREDENTIAL = {"client_id": "the-app", "client_secret": "not-a-real-secret"}
API_USER = {"username": "the-user", "password": "not-a-real-password"}
ACCOUNT = {"account_id": "9900008"}
OLD_API = "https://dashboard.bandwidth.com:443/v1.0/tns?account=9900008"


def written(items: list[dict[str, Any]], following: object = "", namespace: str = "") -> bytes:
    """A page as the vendor writes it. A null is an empty element."""
    link = f"<next>{escape(str(following))}</next>" if following else ""
    records = "".join(
        "<TelephoneNumber>"
        + "".join(f"<{k}>{'' if v is None else escape(str(v))}</{k}>" for k, v in item.items())
        + "</TelephoneNumber>"
        for item in items
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><TelephoneNumbersResponse{namespace}>'
        f"<TelephoneNumberCount>{len(items)}</TelephoneNumberCount><Links>{link}</Links>"
        f"<TelephoneNumbers>{records}</TelephoneNumbers></TelephoneNumbersResponse>"
    ).encode()


class TestBandwidth(OAuthContract):
    provider = Bandwidth
    options = ACCOUNT | API_CREDENTIAL
    host = "https://api.bandwidth.com"
    authorization = basic("the-app", "not-a-real-secret")["Authorization"]
    form = {"grant_type": "client_credentials"}
    path = "/api/v2/tns"
    documented = (DATA / "tns.xml").read_bytes()
    list_at, number_at = "TelephoneNumbers", "FullNumber"
    paging = ByToken(token="page", at="next", size="size", default=500, largest=2500)
    strict_at = ("AccountId",)  # another account's numbers are not ours to show
    unusable = [
        *({"Status": status} for status in ("InAccount", "Aging", "A status of tomorrow", None)),
        {"Status": ABSENT},
    ]
    expected = [PhoneNumber("+12025550143"), PhoneNumber("+12025550144", voice=False)]

    def items(self) -> list[dict[str, str | None]]:
        root = ElementTree.fromstring(self.documented)  # noqa: S314 # our own file
        records = root.iterfind("TelephoneNumbers/TelephoneNumber")
        return [{field.tag: field.text for field in record} for record in records]

    def body(self, shown: Shown) -> bytes:
        following = self.paging.fields(shown)["next"]
        if following is ABSENT:
            return written(shown.items)
        page = quote(following, safe="+")  # the vendor's example leaves the plus of a number bare
        return written(shown.items, f'Link=<{OLD_API}&page={page}&size=500>;rel="next";')

    def answers(self, body: bytes) -> None:
        """Let the listing answer so, whatever page is asked for."""
        self.spoil = lambda asked: None if asked.path == self.token_path else Reply(body)

    def test_a_legacy_user_asks_for_no_token(self) -> None:
        wanted = basic("the-user", "not-a-real-password")["Authorization"]
        page = Reply(self.page_of(self.items()))
        self.spoil = lambda asked: (
            page if asked.headers["Authorization"] == wanted else Reply(b"", 401)
        )
        user = self.account(client_id="", client_secret="", **API_USER)
        assert user.ask(Query()) == list(self.expected)
        assert [asked.method for asked in self.carrier.asked] == ["GET"]
        assert self.listings()[0].headers["Accept"] == "application/xml"
        error = self.fails(
            client_id="", client_secret="", username="the-user", password="another-password"
        )
        assert type(error) is Refused

    def test_xml_is_asked_for(self) -> None:
        self.account().ask(Query())
        assert self.listings()[0].headers["Accept"] == "application/xml"

    def test_the_documented_page_is_read_as_it_stands(self) -> None:
        self.answers(self.documented)
        assert self.account().ask(Query()) == list(self.expected)

    def test_white_space_around_values_is_none_of_them(self) -> None:
        self.answers(self.documented.replace(b"><", b">\n  <"))
        spaced = re.sub(rb">([^<>\s][^<>]*)<", rb">\n    \1\n  <", self.documented)
        assert spaced != self.documented
        self.answers(spaced)
        assert self.account().ask(Query()) == list(self.expected)

    def test_just_this_account_s_numbers_are_asked_for(self) -> None:
        self.account().ask(Query())
        assert self.listings()[0].params == {"accountId": "9900008", "size": "2500"}

    def test_another_account_s_numbers_are_left_out(self) -> None:
        self.listed = [self.make(0), self.make(1) | {"AccountId": "753"}, self.make(2)]
        assert len(self.account().ask(Query())) == 2

    @pytest.mark.parametrize(
        "namespace", [' xmlns="https://ns.example/v2"', ' xmlns:i="https://ns.example/instance"']
    )
    def test_namespaces_do_not_matter(self, namespace: str) -> None:
        self.answers(written(self.items(), namespace=namespace))
        assert self.account().ask(Query()) == list(self.expected)

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_none_one_and_many_numbers_are_read(self, count: int) -> None:
        self.listed = [self.make(index) for index in range(count)]
        assert len(self.account().ask(Query())) == count

    @pytest.mark.parametrize(
        ("number", "e164"),
        [
            ("2025550143", "+12025550143"),
            ("12025550143", "+12025550143"),
            ("442079460143", "+442079460143"),
        ],
    )
    def test_numbers_in_the_old_format_get_their_country(self, number: str, e164: str) -> None:
        self.listed = [self.make(0) | {"FullNumber": number}]
        assert [number.number for number in self.account().ask(Query())] == [e164]

    @pytest.mark.parametrize(
        ("services", "voice"),
        [("", True), ("Voice", True), ("Messaging,Voice", True), ("Messaging", False)],
    )
    def test_a_number_without_voice_among_its_services_takes_no_calls(
        self, services: str, voice: bool
    ) -> None:
        listed = "".join(f"<ServiceType>{each}</ServiceType>" for each in services.split(",")[:2])
        record = f"</Status><ServiceTypes>{listed if services else ''}</ServiceTypes>"
        self.answers(written([self.make(0)]).replace(b"</Status>", record.encode()))
        assert [number.voice for number in self.account().ask(Query())] == [voice]

    def test_the_next_page_begins_at_the_link_s_number(self) -> None:
        link = f'Link=<{OLD_API}&page=+12025550144&size=2500>;rel="next";'
        pages = iter([written(self.items()[:1], link), written(self.items()[1:])])
        self.spoil = lambda asked: None if asked.path == self.token_path else Reply(next(pages))
        assert self.account().ask(Query()) == list(self.expected)
        assert self.listings()[1].params == {
            "accountId": "9900008",
            "size": "2500",
            "page": "+12025550144",
        }

    def test_the_link_s_host_is_not_asked(self) -> None:
        with Carrier(lambda _: Reply(b"", 401)) as stranger:
            link = f'Link=<{stranger.url}/v1.0/tns?page=2&size=500>;rel="next";'
            pages = iter([written(self.items(), link), written([])])
            self.spoil = lambda asked: None if asked.path == self.token_path else Reply(next(pages))
            assert self.account().ask(Query()) == list(self.expected)
            assert not stranger.asked

    def test_a_next_link_without_its_page_is_unreadable(self) -> None:
        self.answers(written(self.items(), f'Link=<{OLD_API}&size=500>;rel="next";'))
        assert type(self.fails()) is Unreadable

    @pytest.mark.parametrize(
        "body",
        [
            b"<html><body>Welcome</body></html>",
            b"<TelephoneNumbersResponse/>",
            b"<TelephoneNumbersResponse><ResponseStatus><ErrorCode>15511</ErrorCode>"
            b"</ResponseStatus></TelephoneNumbersResponse>",
            b'{"telephoneNumbers": []}',
        ],
    )
    def test_what_has_no_list_is_unreadable(self, body: bytes) -> None:
        self.answers(body)
        assert type(self.fails()) is Unreadable

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_entities_are_not_expanded(self, encoding: str) -> None:
        doubled = "".join(f'<!ENTITY e{n + 1} "&e{n};&e{n};">' for n in range(40))
        bomb = (
            f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE r [<!ENTITY e0 "0">{doubled}]>'
            "<r><TelephoneNumbers>&e40;</TelephoneNumbers></r>"
        )
        self.answers(bomb.encode(encoding))
        error = self.fails()
        assert type(error) is Unreadable
        assert "document type" in str(error)

    def test_files_are_not_read(self) -> None:
        page = b'<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/hostname">]>' + written([])[38:]
        self.answers(page)
        assert type(self.fails()) is Unreadable

    def test_no_content_is_an_empty_list(self) -> None:
        self.spoil = lambda asked: None if asked.path == self.token_path else Reply(b"", 204)
        assert self.account().ask(Query()) == []

    def test_an_empty_403_is_a_missing_role(self) -> None:
        self.spoil = lambda asked: None if asked.path == self.token_path else Reply(b"", 403)
        error = self.fails()
        assert type(error) is Refused
        assert "403" in str(error)

    def test_a_site_s_numbers_are_all_in_service(self) -> None:
        path = "/api/v2/accounts/9900008/sites/12345/inserviceNumbers"
        site = Reply((DATA / "inserviceNumbers.xml").read_bytes())
        self.spoil = lambda asked: site if asked.path == path else None
        found = self.account(site_id="12345").ask(Query())
        assert found == [PhoneNumber("+12025550155"), PhoneNumber("+12025550156")]

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"client_id": "a"},
            {"client_secret": "b"},
            {"username": "c"},
            {"password": "d"},
            {"client_id": "a", "password": "d"},
            API_CREDENTIAL | {"username": "c"},
            API_CREDENTIAL | API_USER,
        ],
    )
    def test_credentials_that_are_half_or_twice_given_are_refused(
        self, given: dict[str, str]
    ) -> None:
        problems = Problems()
        assert build(Bandwidth.Options, ACCOUNT | given, problems) is None
        assert problems.lines == ["client_id: give it and client_secret, or username and password"]

    @pytest.mark.parametrize("option", ["account_id", "site_id"])
    def test_an_id_has_digits_alone(self, option: str) -> None:
        problems = Problems()
        given = ACCOUNT | API_CREDENTIAL | {option: "1/../2"}
        assert build(Bandwidth.Options, given, problems) is None
        assert problems.lines[0].startswith(f"{option}: expected digits")
