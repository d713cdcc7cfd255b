"""Sinch: the contract, and what only Sinch does."""

import json
from pathlib import Path

import pytest

from providers.base.http import basic
from providers.base.provider import PhoneNumber, Query
from providers.sinch import Sinch
from providers.testing import ByToken, OAuthContract, Reply

REPLY = Path(__file__).parent / "data" / "sinch" / "numbers.json"


class TestSinch(OAuthContract):
    provider = Sinch
    options = {
        "project_id": "00000000-0000-4000-8000-000000000001",
        "key_id": "the-key-s-id",
        "key_secret": "not-a-real-secret",
    }
    authorization = basic("the-key-s-id", "not-a-real-secret")["Authorization"]
    form = {"grant_type": "client_credentials"}
    path = "/v1/projects/00000000-0000-4000-8000-000000000001/activeNumbers"
    host = "https://numbers.api.sinch.com"
    documented = json.loads(REPLY.read_text())["body"]
    list_at, number_at, name_at = "activeNumbers", "phoneNumber", "displayName"
    paging = ByToken(
        size="pageSize",
        largest=100,
        total_at="totalSize",
        token="pageToken",
        at="nextPageToken",
        last="",
    )
    unusable = [
        *({"capability": can} for can in (["SMS"], [], None)),
        {"voiceConfiguration.type": "FAX"},
    ]
    expected = [
        PhoneNumber("+12025550143", "Support"),
        PhoneNumber("+12025550144", voice=False),
    ]

    @pytest.mark.parametrize("configuration", [None, {}, {"type": "EST", "trunkId": ""}])
    def test_a_number_with_voice_takes_calls_until_its_app_is_known(
        self, configuration: object
    ) -> None:
        self.listed = [self.make(0) | {"voiceConfiguration": configuration}]
        assert [number.voice for number in self.account().ask(Query())] == [True]

    @pytest.mark.parametrize("kind", [None, "LOCAL"])
    def test_one_type_is_asked_for_only_if_chosen(self, kind: str | None) -> None:
        """By Sinch's own guide, all but MOBILE are left out where none is named."""
        self.account(number_type=kind).ask(Query())
        assert [asked.params.get("type") for asked in self.listings()] == [kind]

    def test_a_short_page_without_a_token_is_the_last(self) -> None:
        body = {key: value for key, value in self.documented.items() if key != "nextPageToken"}
        self.spoil = lambda asked: Reply(body) if asked.path == self.path else None
        assert len(self.account().ask(Query())) == 2
