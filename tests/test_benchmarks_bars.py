"""The bars of `make bench`: what counts as met."""

import pytest

from benchmarks.bars import Bar


@pytest.mark.parametrize(
    ("bar", "verdict"),
    [
        (Bar("speed", 1.5, 1.5, least=True), "met"),
        (Bar("speed", 1.5, 1.49, least=True), "MISSED"),
        (Bar("time", 50, 50, "ms"), "met"),
        (Bar("time", 50, 51, "ms"), "MISSED"),
        (Bar("speed", 1.5, None, least=True, detail="node is missing"), "skipped"),
    ],
)
def test_bar_is_met_from_its_limit_on(bar: Bar, verdict: str) -> None:
    assert bar.verdict == verdict


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [(0.9, 0.5, "met"), (0.8, 0.98, "met"), (0.8, 0.96, "MISSED")],
)
def test_one_of_two_bars_is_enough(first: float, second: float, verdict: str) -> None:
    other = Bar("against `least`", 0.97, second, least=True)
    bar = Bar("against `bare`", 0.90, first, least=True, instead=other)
    assert bar.row()[:4] == [
        "against `bare`, or against `least`",
        "≥ 0.9, or ≥ 0.97",
        f"{first}; {second}",
        verdict,
    ]
