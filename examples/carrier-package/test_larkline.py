"""Larkline: the contract, and what only Larkline does."""

import json
from pathlib import Path

import providers
from providers import PhoneNumber
from providers.testing import ByToken, ProviderContract

REPLY = Path(__file__).parent / "larkline.json"


class TestLarkline(ProviderContract):
    provider = providers.load("larkline")
    options = {"api_key": "not-a-real-key"}
    authorization = "Bearer not-a-real-key"
    path = "/v2/numbers"
    host = "https://api.larkline.example"
    documented = json.loads(REPLY.read_text("utf-8"))["body"]
    list_at, number_at, name_at = "numbers", "number", "label"
    paging = ByToken(token="cursor", at="next_cursor", size="limit", default=20, largest=100)
    unusable = [{"status": "pending"}, {"status": "cancelled"}, {"status": None}]
    expected = [PhoneNumber("+12025550143", "Front desk"), PhoneNumber("+12025550144", voice=False)]
