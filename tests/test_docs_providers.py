"""What the docs say of providers, and of making one, is compared with the code."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields

import providers
from providers.testing.carrier import Asked, Carrier, Reply
from tests.test_docs import PAGES, ROOT, blocks, page

PACKAGE = ROOT / "examples" / "carrier-package"
PROVIDERS = "docs/providers/README.md"


def example(kind: str) -> str:
    """The first block of that kind in the page about new carriers."""
    return next(body for info, body in blocks(page("docs/adding-a-carrier.md")) if info == kind)


def test_whole_example_in_the_docs_lists_the_documented_numbers() -> None:
    source, reply = example("python"), json.loads(example("json"))["body"]
    assert len([line for line in source.splitlines() if line]) <= 45
    module: dict[str, Any] = {"__name__": "larkline"}
    exec(compile(source, "docs/adding-a-carrier.md", "exec"), module)  # noqa: S102 # our own page

    def answer(asked: Asked) -> Reply:
        if asked.headers["Authorization"] != "Bearer a-key" or asked.path != "/v2/numbers":
            return Reply({}, 401)
        if "cursor" in asked.params:
            return Reply({"numbers": reply["numbers"][1:]})
        return Reply({"numbers": reply["numbers"][:1], "next_cursor": "second"})

    with Carrier(answer) as carrier:
        larkline = module["Larkline"]
        options = larkline.Options(api_key="a-key", base_url=f"{carrier.url}/v2")
        found = larkline(options).ask(providers.Query())
    assert [(number.number, number.name, number.voice) for number in found] == [
        ("+12025550143", "Front desk", True),
        ("+12025550144", "", False),
    ]


@pytest.mark.parametrize("name", ["larkline.json", "larkline.py", "pyproject.toml"])
def test_docs_show_the_example_package_s(name: str) -> None:
    assert (PACKAGE / name).read_text("utf-8") in [
        body for _, body in blocks(page("docs/adding-a-carrier.md"))
    ]


def test_docs_show_an_awkward_carrier_whole() -> None:
    shown = [body for _, body in blocks(page("docs/adding-a-carrier.md"))]
    assert (ROOT / "providers" / "amazon_connect.py").read_text("utf-8") in shown
    test = (ROOT / "tests" / "test_providers_amazon_connect.py").read_text("utf-8")
    (part,) = (body for body in shown if body.startswith('authorization = ""'))
    there = {line.strip() for line in test.splitlines()}
    assert {line.strip() for line in part.splitlines()} <= there


def test_docs_show_the_test_that_a_new_provider_gets() -> None:
    test = (PACKAGE / "test_larkline.py").read_text("utf-8")
    test = test.replace('/ "larkline.json"', '/ "data" / "larkline" / "numbers.json"')
    assert test in [body for _, body in blocks(page("docs/adding-a-carrier.md"))]


def test_page_about_new_carriers_names_only_files_there_are() -> None:
    named = set(re.findall(r"`(providers/\w+\.py)`", page("docs/adding-a-carrier.md")))
    assert named > {"providers/thrush.py"}
    assert [name for name in named if not (ROOT / name).exists()] in ([], ["providers/thrush.py"])


def test_every_provider_has_a_row() -> None:
    listed = re.findall(r"^\| \[`(\w+)`\]\((\w+)\.md\) \| (.+) \|$", page(PROVIDERS), re.M)
    assert [name for name, _, _ in listed] == sorted(set(providers.BUILT_IN) - {"static"})
    for name, target, cells in listed:
        assert name == target
        assert len(cells.split(" | ")) == 5


@pytest.mark.parametrize("path", sorted(p for p in PAGES if p.stem in providers.BUILT_IN))
def test_provider_s_page_names_all_its_options(path: Path) -> None:
    text = path.read_text("utf-8")
    prefix = providers.prefix(path.stem)
    options = {prefix + f.name.upper() for f in fields(providers.load(path.stem).Options)}
    assert options - {name for name in options if f"`{name}`" in text} <= {f"{prefix}COUNTRY"}
    assert set(re.findall(rf"`({prefix}[A-Z0-9_]+)`", text)) <= options


@pytest.mark.parametrize("name", providers.BUILT_IN)
def test_provider_s_page_is_no_placeholder(name: str) -> None:
    """`flask providers new` writes what is true of no carrier."""
    text = page(f"docs/providers/{name}.md")
    assert "TODO" not in text
    assert "Larkline" not in text
