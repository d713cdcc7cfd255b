"""What README and docs say is compared with the code, so that neither can change alone."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from dotenv import dotenv_values
from flask import Flask
from msgspec.structs import fields

import providers
from docs import generate
from helpdesk_numbers import cli
from helpdesk_numbers.directory import toml
from helpdesk_numbers.directory.model import Directory, Rule
from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import Settings
from helpdesk_numbers.webhook import PATH
from hubspot.diagnosis import RefusedRequest, diagnose
from hubspot.errors import InvalidSignature
from hubspot.signature import (
    OLD_HEADER,
    OLD_VERSION_HEADER,
    V3_HEADER,
    sign,
    signed_headers,
    verify,
)
from providers.base.errors import ProviderError
from providers.base.options import Faults
from providers.static import Static

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("**/*.md"))]
SETTINGS = {field.name.upper(): field for field in fields(Settings)}
OPTIONS = {
    providers.prefix(name) + field.name.upper()
    for name in providers.BUILT_IN
    for field in fields(providers.load(name).Options)
}


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    level = heading.split()[0]
    found = re.search(
        rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.M | re.S
    )
    assert found, f"no heading {heading!r}"
    return found[1]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row that begins with a name in backticks."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def blocks(text: str) -> list[tuple[str, str]]:
    """Every fenced block: what stands after the fence, and the content."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", text, re.M | re.S)


@pytest.mark.parametrize("path", generate.PAGES, ids=[path.name for path in generate.PAGES])
def test_page_made_of_the_code_is_fresh(path: Path) -> None:
    assert path.read_text("utf-8") == generate.fresh(path), f"{path.name}: run `make docs`"


def test_pages_are_short_and_narrow_enough_to_read() -> None:
    assert len(page("README.md").splitlines()) <= 180
    assert len(page("ARCHITECTURE.md").splitlines()) <= 90
    for path in PAGES:
        prose = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.M | re.S)
        lines = [line for line in prose.splitlines() if not line.startswith("|")]
        assert not [line for line in lines if len(line) > 130], path.name


def test_directory_page_lists_exactly_the_keys() -> None:
    keys = section(page("docs/directory.md"), "## Keys")
    expected: Mapping[str, Any] = {
        "### `[portals.ID]`": {"accounts", "users", "user", "team", "token"},
        "### `[accounts.NAME]`": {"provider", "country"}
        | {field.name for field in fields(providers.PhoneNumber)},
    }
    for heading, names in expected.items():
        assert {row[0].strip("`") for row in rows(section(keys, heading))} == names
    assert {field.name for field in fields(Static.Options)} == {"country", "numbers"}
    rule = rows(section(page("docs/who-sees-what.md"), "## What a rule can say"))
    assert {row[0].strip("`") for row in rule} == {field.name for field in fields(Rule)}


def test_env_example_names_every_setting_and_nothing_unknown() -> None:
    named = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]*)=", page(".env.example"), re.M)
    assert set(named) - OPTIONS == set(SETTINGS)
    assert len(named) == len(set(named))


def test_env_example_is_a_configuration_that_can_be_started_with() -> None:
    values = dotenv_values(ROOT / ".env.example")
    settings = Service({name: value for name, value in values.items() if value}).settings
    assert settings.provider == "twilio"


def test_env_example_as_it_comes_says_what_to_fill_in() -> None:
    """It starts nothing with made-up credentials."""
    values = dotenv_values(ROOT / ".env.example")
    faults = Service({name: value for name, value in values.items() if value}).faults
    assert [fault.partition(":")[0] for fault in faults] == [
        "HUBSPOT_CLIENT_SECRET",
        "HUBSPOT_PORTAL_IDS",
        "TWILIO_ACCOUNT_SID",
    ]


def test_env_examples_comments_give_the_defaults() -> None:
    commented = re.findall(r"^# ([A-Z][A-Z0-9_]*)=(.+)$", page(".env.example"), re.M)
    shown = {name: f"`{value}`" for name, value in commented if name in SETTINGS}
    defaults = {name: generate.default(SETTINGS[name]) for name in shown}
    assert {n: v for n, v in shown.items() if defaults[n] != "none"} == {
        n: v for n, v in defaults.items() if v != "none"
    }


def test_architecture_names_only_what_there_is() -> None:
    text = page("ARCHITECTURE.md").replace("NAME", "twilio")
    houses = ("helpdesk_numbers", "hubspot", "providers", "tests")
    paths = [*ROOT.glob("*.py"), *(path for top in houses for path in (ROOT / top).rglob("*.py"))]
    files = [f"/{path.relative_to(ROOT)}" for path in paths]
    named = set(re.findall(r"([\w/.]+\.py)\b", text))
    assert not [name for name in named if not any(file.endswith(f"/{name}") for file in files)]
    for name, path in re.findall(r"`(\w+)` in `([\w/]+\.py)`", text):
        assert re.search(rf"^(def|class) {name}\b", page(path), re.M), name


def toml_blocks(kind: str) -> list[str]:
    text = page("docs/directory.md") + page("docs/who-sees-what.md")
    return [body for info, body in blocks(text) if info == kind and "[portals." in body]


def parse(text: str) -> Directory:
    return toml.parse(text, dict.fromkeys(re.findall(r'"env:(\w+)"', text), "some-secret"))


@pytest.mark.parametrize("text", toml_blocks("toml"))
def test_directory_in_the_docs_is_good(text: str) -> None:
    assert parse(text).portals


def test_docs_have_directories_to_try() -> None:
    assert len(toml_blocks("toml")) >= 5
    assert len(toml_blocks("toml faulty")) == 1


def test_faults_in_the_docs_are_those_of_the_faulty_directory() -> None:
    listed = blocks(page("docs/directory.md"))
    at = next(index for index, (info, _) in enumerate(listed) if info == "toml faulty")
    with pytest.raises(Faults) as caught:
        parse(listed[at][1])
    assert "\n".join(caught.value.faults) + "\n" == listed[at + 1][1]


def test_example_directory_is_good() -> None:
    assert parse(page("examples/directory.toml")).portals


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    prose = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.M | re.S)
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", prose, re.M)}


LINKS = [
    pytest.param(path, target, id=f"{path.name}: {target}")
    for path in PAGES
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8"))
    if "://" not in target
]


@pytest.mark.parametrize(("path", "target"), LINKS)
def test_link_leads_to_a_file_and_heading(path: Path, target: str) -> None:
    name, _, anchor = target.partition("#")
    file = (path.parent / name).resolve() if name else path
    assert file.is_relative_to(ROOT)
    assert file.exists()
    if anchor:
        assert anchor in anchors(file)


def code(text: str) -> Iterator[str]:
    """Every line of a fenced block, and every code span, which may go over a line's end."""
    for _, body in blocks(text):
        yield from body.replace("\\\n", " ").splitlines()
    for span in re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)):
        yield " ".join(span.split())


COMMANDS = sorted(
    {
        found[1]
        for path in PAGES
        if path not in generate.PAGES
        for line in code(path.read_text("utf-8"))
        if (found := re.search(r"(?:^|[ /])flask ([a-z].*)$", line))
    }
)


@pytest.fixture
def app() -> Flask:
    """An app with the commands, as `flask` has it."""
    made = Flask("commands")
    cli.register(made)
    return made


@pytest.mark.parametrize("words", COMMANDS)
def test_command_in_the_docs_exists_with_its_options(app: Flask, words: str) -> None:
    command: click.Command = app.cli
    given = words.partition(" #")[0].split()
    while isinstance(command, click.Group) and given:
        name = given.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found, name
        command = found
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word for word in given if word.startswith("--")} <= known


MADE = {
    target
    for path in PAGES
    for line in code(path.read_text("utf-8"))
    for target in re.findall(r"^make ([\w./-]+)", line)
}


@pytest.mark.parametrize("target", sorted(MADE | {"demo", "test", "run"}))
def test_make_target_in_the_docs_exists(target: str) -> None:
    assert re.search(rf"^{re.escape(target)}:", page("Makefile"), re.M)


def test_make_help_names_every_target() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", page("Makefile"), re.M)
    said = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[0] for line in said.splitlines()] == phony.split()


BODY, URL, NOW_MS = b"{}", "https://numbers.example.com/hubspot/phone-numbers", 1_790_000_000_000
HOUR_MS = 3_600_000
REFUSED = {
    "nothing": {},
    "no timestamp": {V3_HEADER: sign("v3", "s", "POST", URL, BODY)},
    "old": signed_headers("v3", "s", "POST", URL, BODY, NOW_MS - HOUR_MS),
    "new": signed_headers("v3", "s", "POST", URL, BODY, NOW_MS + HOUR_MS),
    "v2": signed_headers("v2", "s", "POST", URL, BODY, NOW_MS),
    "no version": {OLD_HEADER: sign("v2", "s", "POST", URL, BODY)},
    "secret": signed_headers("v3", "other", "POST", URL, BODY, NOW_MS),
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_troubleshooting_has_the_reason_of_this_401(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature) as refused:
        verify(headers, secrets=["s"], method="POST", uri=URL, body=BODY, now_ms=NOW_MS)
    table = section(page("docs/troubleshooting.md"), "## 401")
    listed = {re.sub(r"\d+ s ", "N s ", row[0]) for row in rows(table)}
    reason = re.sub(r"\d+ s ", "N s ", f"`{refused.value.reason}`")
    assert any(cell.startswith(reason) for cell in listed)


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_troubleshooting_has_the_cause_of_this_401(headers: dict[str, str]) -> None:
    if V3_HEADER not in headers and headers:
        headers = headers | {OLD_VERSION_HEADER: "v2"}
    refused = RefusedRequest("POST", URL, headers, BODY)
    found = diagnose(refused, secrets=["s"], path=PATH, now_ms=NOW_MS)
    assert f"`{found.cause}`" in {row[0] for row in rows(page("docs/troubleshooting.md"))}


def test_log_lines_in_the_docs_have_the_fields_of_a_401() -> None:
    lines = [
        json.loads(body)
        for path in PAGES
        for info, body in blocks(path.read_text("utf-8"))
        if info == "json" and '"status":401' in body
    ]
    assert len(lines) == 2
    assert all({"reason", "url", "cause", "remedy"} <= line.keys() for line in lines)


def test_operating_page_lists_every_outcome_of_an_account() -> None:
    table = section(page("docs/operating.md"), "## When a carrier fails")
    assert {row[0].strip("`") for row in rows(table)} == {
        kind.outcome for kind in ProviderError.__subclasses__()
    }


def _literals(folder: str) -> str:
    """The source of a folder, with literals that span lines put together."""
    text = "".join(path.read_text("utf-8") for path in sorted((ROOT / folder).rglob("*.py")))
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_remedies_in_the_docs_are_those_of_the_commands() -> None:
    source = _literals("helpdesk_numbers/cli")
    shown = [
        line.partition("→ ")[2]
        for path in PAGES
        for _, body in blocks(path.read_text("utf-8"))
        for line in body.splitlines()
        if line.startswith("  → ")
    ]
    assert len(shown) >= 3
    assert [remedy for remedy in shown if remedy not in source] == []


def test_reasons_in_the_docs_are_those_of_the_code() -> None:
    source = _literals("providers/base") + _literals("helpdesk_numbers/lookup")
    text = page("docs/troubleshooting.md")
    cells = [row[0] for name in ("## 502", "## 503") for row in rows(section(text, name))]
    reasons = [reason for cell in cells for reason in re.findall(r"`([^`]* [^`]*)`", cell)]
    literal = [reason for reason in reasons if not re.search(r"\d|:|…|PROXY", reason)]
    assert len(literal) >= 8
    assert [reason for reason in literal if reason not in source] == []


def test_log_line_of_a_wrong_secret_has_the_remedy_of_the_code() -> None:
    refused = RefusedRequest("POST", URL, REFUSED["secret"], BODY)
    found = diagnose(refused, secrets=["s"], path=PATH, now_ms=NOW_MS, thorough=False)
    assert json.dumps(found.remedy, ensure_ascii=False) in page("docs/operating.md")
