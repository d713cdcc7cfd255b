"""What is promised of every adapter: as few requests as the carrier's largest page allows, and as
few lines of code as a stranger can read at a sitting."""

import ast
import importlib
import io
import json
import re
import tokenize
from pathlib import Path
from statistics import median

import pytest

import providers
from providers.testing import ByOffset, ProviderContract

ROOT = Path(__file__).parent.parent
TABLE = (ROOT / "docs" / "providers" / "README.md").read_text("utf-8")
CARRIERS = sorted(set(providers.BUILT_IN) - {"static"})


def contract(name: str) -> type[ProviderContract]:
    """The test class of the provider, which asks for 1,000 numbers and counts the requests."""
    kinds = vars(importlib.import_module(f"tests.test_providers_{name}")).values()
    found = (
        kind for kind in kinds if isinstance(kind, type) and issubclass(kind, ProviderContract)
    )
    return next(kind for kind in found if vars(kind).get("provider") is providers.load(name))


@pytest.mark.parametrize("name", CARRIERS)
def test_a_thousand_numbers_take_no_more_requests_than_the_largest_page_allows(name: str) -> None:
    (told,) = re.findall(rf"^\| \[`{name}`\].* \| ([^|]+) \|$", TABLE, re.M)
    paging = contract(name).paging
    if told in ("not published", "no pages"):
        assert not paging.size, "a size is asked for, of which nothing says that it is the largest"
        return
    largest = int(re.sub(r"\D", "", told))
    # where no total is told, only another page shows that a full one was the last
    ends_in_vain = isinstance(paging, ByOffset) and not paging.total_at and 1000 % largest == 0
    assert paging.fewest(1000) == -(-1000 // largest) + ends_in_vain
    assert ends_in_vain is (name == "teams")


@pytest.mark.parametrize("name", CARRIERS)
def test_the_table_says_whose_pages_are_asked_for_side_by_side(name: str) -> None:
    (told,) = re.findall(rf"^\| `{name}` \| ([^|]+) \|", TABLE, re.M)
    assert contract(name).side_by_side is (told == "side by side")


@pytest.mark.parametrize("name", CARRIERS)
def test_the_largest_page_is_that_of_the_vendor_s_description(name: str) -> None:
    path, kind = ROOT / "tests" / "data" / "specs" / f"{name}.json", contract(name)
    if not path.exists():
        return
    description = json.loads(path.read_text("utf-8"))
    listings = [
        operation.get("get", {}).get("parameters", [])
        for template, operation in description["paths"].items()
        if re.search(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(template)) + "$", kind.path)
    ]
    assert listings
    sizes = (given for given in listings[0] if given.get("name") == kind.paging.size)
    largest = {size["schema"]["maximum"] for size in sizes if "maximum" in size["schema"]}
    assert largest <= {kind.paging.largest}


def lines_of_code(path: Path) -> int:
    """Without empty lines, comments and docstrings."""
    text = path.read_text("utf-8")
    no_code = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in no_code | {tokenize.ENDMARKER}:
            found |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found -= set(range(node.lineno, (node.end_lineno or 0) + 1))
    return len(found)


def test_adapters_are_short() -> None:
    lengths = {
        name: lines_of_code(ROOT / "providers" / f"{name}.py") for name in providers.BUILT_IN
    }
    assert median(lengths.values()) <= 50, lengths
    assert max(lengths.values()) <= 110, lengths
