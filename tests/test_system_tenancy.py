"""No answer of the real server shows a number that a model of who may see what does not allow.

The bar is ten thousand steps: `python -m tests.support.tenancy`.
"""

from pathlib import Path

from tests.support.tenancy import Run


def test_nobody_sees_too_much_whatever_changes_fails_or_dies_meanwhile(tmp_path: Path) -> None:
    run = Run(tmp_path, seed=5)
    run.go(steps=300)
    assert run.bad == []
    assert run.answers["200 with numbers"] > 50, "most is in order"
    assert run.answers["200 with none"] > 50
