"""The contract of every adapter, ours and other people's, as tests to inherit.

    from providers.testing import ByNumber, ProviderContract

    class TestLarkline(ProviderContract):
        provider = Larkline
        options = {"api_key": "not-a-real-key"}
        authorization = "Bearer not-a-real-key"
        path = "/v2/lines"
        documented = json.loads(...)  # a reply's body, from the carrier's documentation
        list_at, number_at, name_at = "lines", "msisdn", "label"
        paging = ByNumber(number="page", size="per_page", largest=250, pages_at="meta.pages")
        unusable = [{"status": "ported-out"}]
        expected = [PhoneNumber("+12025550143", "Front desk")]

What each of these means is said in providers/contract.py. An adapter with tokens inherits
`OAuthContract` instead, one that asks nobody `LocalContract`. This module needs pytest; nothing
that serves imports it.
"""

import pytest

pytest.register_assert_rewrite("providers.contract")  # a failure then shows the values

from .contract import LocalContract, OAuthContract, ProviderContract  # noqa: E402
from .fake import (  # noqa: E402
    ABSENT,
    Asked,
    ByLink,
    ByNumber,
    ByToken,
    Carrier,
    Paging,
    Reply,
    Shown,
)

__all__ = [
    "ABSENT",
    "Asked",
    "ByLink",
    "ByNumber",
    "ByToken",
    "Carrier",
    "LocalContract",
    "OAuthContract",
    "Paging",
    "ProviderContract",
    "Reply",
    "Shown",
]
