"""A bar, what was measured against it, and the text that says so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Bar:
    """One line of the table. `least`: the bar is a lower bound, else an upper one.

    `measured` is None where this machine lacks what is needed; `detail` says what. `instead` is
    another bar for the same thing, of which one is enough.
    """

    name: str
    limit: float
    measured: float | None
    unit: str = ""
    least: bool = False
    detail: str = ""
    instead: "Bar | None" = None

    @property
    def verdict(self) -> str:
        """`met`, `MISSED` or `skipped`."""
        if self.measured is None:
            return "skipped"
        reached = self.measured >= self.limit if self.least else self.measured <= self.limit
        return "met" if reached else self.instead.verdict if self.instead else "MISSED"

    def row(self) -> list[str]:
        """Name, bar, measured, verdict and detail."""
        sign = "≥" if self.least else "≤"
        limit = f"{sign} {_figure(self.limit)} {self.unit}".strip()
        measured = "" if self.measured is None else f"{_figure(self.measured)} {self.unit}".strip()
        name = self.name
        if self.instead:
            other = self.instead.row()
            name, limit = f"{name}, or {other[0]}", f"{limit}, or {other[1]}"
            measured = f"{measured}; {other[2]}"
        return [name, limit, measured, self.verdict, self.detail]


Benchmark = Callable[[], list[Bar]]


def _figure(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def summary(values: Sequence[float], unit: str = "") -> str:
    """`median (least to most) unit`."""
    shown = [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in
             (median(values), min(values), max(values))]  # fmt: skip
    return f"{shown[0]} ({shown[1]} to {shown[2]}){' ' if unit else ''}{unit}"


def ratio(ours: Sequence[float], baseline: Sequence[float]) -> float:
    """The median of the rounds' ratios: what disturbs one round disturbs both of its halves."""
    return median(mine / theirs for mine, theirs in zip(ours, baseline, strict=True))


def difference(ours: Sequence[float], baseline: Sequence[float]) -> float:
    """The median of the rounds' differences."""
    return median(mine - theirs for mine, theirs in zip(ours, baseline, strict=True))
