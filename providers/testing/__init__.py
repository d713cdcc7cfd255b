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

What each of these means is said in played.py and local.py. An adapter with tokens inherits
`OAuthContract` instead, one that asks nobody `LocalContract`. This package needs pytest; nothing
that serves imports it.
"""

import pytest

from .carrier import Asked, Carrier, Fault, Reply
from .paging import (
    ABSENT,
    ByLink,
    ByLinkHeader,
    ByNumber,
    ByOffset,
    ByToken,
    Paging,
    Shown,
    Unpaged,
)

# A failure then shows the values. It has to come before these modules are imported.
pytest.register_assert_rewrite(
    *(f"providers.testing.{name}" for name in ("local", "pages", "records", "failures", "oauth"))
)

from .contract import ProviderContract  # noqa: E402 - see above
from .local import LocalContract  # noqa: E402 - see above
from .oauth import OAuthContract  # noqa: E402 - see above

__all__ = [
    "ABSENT",
    "Asked",
    "ByLink",
    "ByLinkHeader",
    "ByNumber",
    "ByOffset",
    "ByToken",
    "Carrier",
    "Fault",
    "LocalContract",
    "OAuthContract",
    "Paging",
    "ProviderContract",
    "Reply",
    "Shown",
    "Unpaged",
]
