"""The tests behind providers/testing/__init__.py, which is what to import: those over HTTP.

played.py says what a test class says about its carrier.
"""

from .failures import PATIENCE_S, SLACK_S, FailureTests
from .pages import PageTests
from .records import RecordTests

__all__ = ["PATIENCE_S", "SLACK_S", "ProviderContract"]


class ProviderContract(PageTests, RecordTests, FailureTests):
    """For a provider that asks a carrier over HTTP.

    A small server plays the carrier: it wants `authorization`, splits its numbers over pages by
    `paging` and answers with the documented body, its list exchanged.
    """
