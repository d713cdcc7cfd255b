"""Adapters that are wrong, and the contract that has to say so."""

from pathlib import Path

import pytest

from providers import HTTPProvider

TESTS = Path(__file__).parent.parent


def assert_fails(
    pytester: pytest.Pytester, wrong: type[HTTPProvider], test: str, right: str
) -> None:
    """Assert that the tests called `test` of the contract at `right`, `module.class`, fail for the
    wrong adapter."""
    home, _, contract = right.rpartition(".")
    wrongs = wrong.__module__.removeprefix("tests.")
    pytester.syspathinsert(TESTS)
    pytester.makepyfile(
        f"import {home}, {wrongs}\n"
        f"class TestWrong({home}.{contract}): provider = {wrongs}.{wrong.__name__}"
    )
    done = pytester.runpytest_inprocess("-k", test, "-p", "no:cacheprovider")
    outcome = done.parseoutcomes()
    assert outcome.get("failed", 0) + outcome.get("errors", 0), done.outlines
