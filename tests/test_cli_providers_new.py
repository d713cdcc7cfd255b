"""`flask providers new`: the files of a new provider."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from helpdesk_numbers.cli import providers as cli_providers
from tests.support.commands import Done, flask, here
from tests.support.server import ROOT, environ


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout to write into."""
    target = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for name in ("app.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, target)
    for name in ("helpdesk_numbers", "hubspot", "providers", "examples", "docs"):
        shutil.copytree(ROOT / name, target / name, ignore=ignore)
    (target / "tests" / "data").mkdir(parents=True)
    return target


@pytest.fixture
def new(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """`flask providers new` in that checkout."""
    monkeypatch.setattr(cli_providers, "ROOT", copy)
    return lambda *arguments: here({}, "providers", "new", *arguments)


def files_of(name: str) -> list[str]:
    return [
        f"providers/{name}.py",
        f"tests/test_providers_{name}.py",
        f"tests/data/{name}/numbers.json",
        f"docs/providers/{name}.md",
    ]


def run(cwd: Path, *arguments: str) -> Done:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env=environ({"PYTHONDONTWRITEBYTECODE": "1"}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_new_provider_s_files_need_no_correction(copy: Path) -> None:
    names = ["x", "thrush", "an_uncommonly_long_carrier_nam"]
    for name in names:
        done = flask({}, "providers", "new", name, cwd=copy)
        assert done.returncode == 0, done.stderr
        for file in [*files_of(name), "docs/providers/README.md", "CHANGELOG.md"]:
            assert re.search(rf"^\d\. {re.escape(file)}: ", done.stdout, re.M)
        for file in files_of(name):
            text = (copy / file).read_text("utf-8")
            assert "larkline" not in text.casefold(), file
            assert ("TODO" in text) is file.endswith(".md"), "what no carrier says is marked"
    python = [file for name in names for file in files_of(name) if file.endswith(".py")]
    for check in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        checked = run(copy, *check, *python)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    listed = json.loads(flask({}, "providers", "--json", cwd=copy).stdout)
    assert {one["provider"] for one in listed} >= {*names}


def test_a_new_provider_passes_its_contract(copy: Path) -> None:
    assert flask({}, "providers", "new", "redwing", cwd=copy).returncode == 0
    done = run(copy, "pytest", "-q", "-p", "no:cacheprovider", "tests/test_providers_redwing.py")
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 40


@pytest.mark.parametrize(
    "name",
    [
        *("twilio", "static", "base", "testing", "page", "secret", "class", "Thrush"),
        *("two-words", "two__words", "_x", "1st", "../x", "a b", "a" * 31, ""),
    ],
)
def test_a_name_that_is_taken_or_no_name_is_refused(
    copy: Path, new: Callable[..., Done], name: str
) -> None:
    before = sorted(copy.rglob("*"))
    done = new(name)
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stderr
    assert sorted(copy.rglob("*")) == before


@pytest.mark.parametrize("index", range(4))
def test_nothing_is_overwritten_or_half_written(
    copy: Path, new: Callable[..., Done], index: int
) -> None:
    files = files_of(f"wren{index}")
    own = copy / files[index]
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("mine")
    done = new(f"wren{index}")
    assert done.returncode == 2
    assert own.read_text() == "mine"
    assert [file for file in files if (copy / file).exists()] == [files[index]]
    own.unlink()


def test_a_package_of_one_s_own_is_written(new: Callable[..., Done], tmp_path: Path) -> None:
    done = new("thrush_voice", "--package", str(tmp_path / "thrush"))
    assert done.returncode == 0, done.stderr
    written = {path.name: path.read_text("utf-8") for path in (tmp_path / "thrush").iterdir()}
    assert set(written) == {
        "README.md", "pyproject.toml", "test_thrush_voice.py", "thrush_voice.json",
        "thrush_voice.py",
    }  # fmt: skip
    assert 'thrush_voice = "thrush_voice:ThrushVoice"' in written["pyproject.toml"]
    assert not [name for name, text in written.items() if "larkline" in text.casefold()]
    again = new("thrush_voice", "--package", str(tmp_path / "thrush"))
    assert again.returncode == 2


def test_a_package_does_not_take_another_module_s_name(
    new: Callable[..., Done], tmp_path: Path
) -> None:
    done = new("requests", "--package", str(tmp_path / "thrush"))
    assert done.returncode == 2
    assert not (tmp_path / "thrush").exists()


def test_a_folder_that_cannot_be_written_is_told(new: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = new("thrush", "--package", str(tmp_path / "file" / "thrush"))
    assert done.returncode == 1
    assert "Not a directory" in done.stderr
    assert "Traceback" not in done.stderr
