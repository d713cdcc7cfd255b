"""A bar, what was measured against it, and the text that says so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Bar:
    """One line of the table. `least`: the bar is a lower bound, else an upper one."""

    name: str
    limit: float
    measured: float
    unit: str = ""
    least: bool = False
    detail: str = ""

    @property
    def met(self) -> bool:
        """Whether the bar is reached."""
        return self.measured >= self.limit if self.least else self.measured <= self.limit

    def row(self) -> list[str]:
        """Name, bar, measured, verdict and detail."""
        sign = "≥" if self.least else "≤"
        figures = [f"{value:.2f}".rstrip("0").rstrip(".") for value in (self.limit, self.measured)]
        limit, measured = (f"{figure} {self.unit}".strip() for figure in figures)
        return [
            self.name,
            f"{sign} {limit}",
            measured,
            "met" if self.met else "MISSED",
            self.detail,
        ]


Benchmark = Callable[[], list[Bar]]


def summary(values: Sequence[float], unit: str = "") -> str:
    """`median (least to most) unit`."""
    shown = [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in
             (median(values), min(values), max(values))]  # fmt: skip
    return f"{shown[0]} ({shown[1]} to {shown[2]}){' ' if unit else ''}{unit}"


def ratio(ours: Sequence[float], baseline: Sequence[float]) -> float:
    """The median of the rounds' ratios: what disturbs one round disturbs both of its halves."""
    return median(one / other for one, other in zip(ours, baseline, strict=True))
