"""Quo: the contract."""

import json
from pathlib import Path

from providers.base.provider import PhoneNumber
from providers.quo import Quo
from providers.testing import ProviderContract, Unpaged

REPLY = Path(__file__).parent / "data" / "quo" / "numbers.json"


class TestQuo(ProviderContract):
    provider = Quo
    options = {"api_key": "not-a-real-key"}
    authorization = "not-a-real-key"
    path = "/v1/phone-numbers"
    host = "https://api.quo.com"
    documented = json.loads(REPLY.read_text("utf-8"))["body"]
    list_at, number_at, name_at = "data", "number", "name"
    paging = Unpaged()
    unusable = [{"portingStatus": status} for status in ("submitted", "rejected", "")]
    expected = [
        PhoneNumber("+12025550143", "Front desk", owners=("US123abc", "a@acme.example")),
        PhoneNumber("+12025550144", "Sales", voice=False),
    ]
