"""Telnyx: the contract, and what only Telnyx does."""

import json
from pathlib import Path

import pytest

from providers.base.provider import PhoneNumber, Query
from providers.telnyx import Telnyx
from providers.testing import Asked, ByNumber, ProviderContract

DATA = Path(__file__).parent / "data" / "telnyx"
STATUSES = [
    *("purchase-pending", "purchase-failed", "port-pending", "port-failed", "provision-pending"),
    *("requirement-info-pending", "requirement-info-under-review", "requirement-info-exception"),
    *("emergency-only", "ported-out", "port-out-pending", "deleted", "a-status-of-tomorrow", None),
]


class TestTelnyx(ProviderContract):
    provider = Telnyx
    options = {"api_key": "KEY-not-a-real-one"}
    host = "https://api.telnyx.com"
    authorization = "Bearer KEY-not-a-real-one"
    path = "/v2/phone_numbers"
    documented = json.loads((DATA / "phone_numbers.json").read_text())["body"]
    list_at, number_at = "data", "phone_number"
    paging = ByNumber(
        number="page[number]",
        size="page[size]",
        default=20,
        largest=250,
        page_at="meta.page_number",
        pages_at="meta.total_pages",
        size_at="meta.page_size",
        total_at="meta.total_results",
    )
    side_by_side = True
    unusable = [{"status": status} for status in STATUSES]
    rate_limits = [({"x-ratelimit-reset": "12"}, 12)]
    expected = [PhoneNumber("+12025550143"), PhoneNumber("+12025550144", voice=False)]

    def test_tags_and_references_are_no_names(self) -> None:
        self.listed = [self.make(0) | {"tags": ["support"], "customer_reference": "Front desk"}]
        assert [number.name for number in self.account().ask(Query())] == [""]

    def test_messaging_faults_do_not_cost_the_list(self) -> None:
        self.account().ask(Query())
        assert self.listings()[0].params["handle_messaging_profile_error"] == "true"

    @pytest.mark.parametrize(("tag", "count"), [(None, 2), ("support", 1), ("sales", 0)])
    def test_a_tag_chooses_the_account_s_numbers(self, tag: str | None, count: int) -> None:
        account = self.account(tag=tag)
        assert len(account.ask(Query())) == count

    def select(self, items: list[dict[str, list[str]]], asked: Asked) -> list[dict[str, list[str]]]:
        tag = asked.params.get("filter[tag]")
        return [item for item in items if tag is None or tag in item["tags"]]
