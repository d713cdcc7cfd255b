"""The checkout as a whole: what a platform installs and starts, and who may import whom."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import providers
from helpdesk_numbers.settings import Settings

ROOT = Path(__file__).parent.parent
CI = ROOT / ".github" / "workflows" / "ci.yml"
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
DEPENDENCIES = [Requirement(text) for text in PYPROJECT["project"]["dependencies"]]
DEV = [Requirement(text) for text in PYPROJECT["dependency-groups"]["dev"]]


def tracked() -> list[Path]:
    """The files that git knows, relative to the root."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"git cannot be used here: {type(error).__name__}")
    names = filter(None, listed.stdout.split("\0"))
    found = [Path(name) for name in names if (ROOT / name).is_file()]
    if not found:
        pytest.skip("git knows no file here")
    return found


def texts() -> Iterator[tuple[Path, str]]:
    """The tracked files that are text."""
    for path in tracked():
        try:
            yield path, (ROOT / path).read_text("utf-8")
        except UnicodeDecodeError:
            continue


def pins(name: str) -> dict[str, str]:
    """Each package of a requirements file with the version it is pinned to."""
    found = {}
    for line in (ROOT / name).read_text("utf-8").splitlines():
        if text := line.partition("#")[0].strip():
            requirement = Requirement(text)
            (pin,) = requirement.specifier
            assert pin.operator == "==", f"{text} is not pinned"
            assert requirement.url is None
            found[requirement.name] = pin.version
    return found


@pytest.mark.parametrize("requirement", DEPENDENCIES, ids=str)
def test_requirements_pin_what_pyproject_asks_for(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins("requirements.txt")[requirement.name])


@pytest.mark.parametrize("requirement", [*DEPENDENCIES, *DEV], ids=str)
def test_dev_requirements_pin_what_pyproject_asks_for(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins("requirements-dev.txt")[requirement.name])


@pytest.mark.parametrize(
    ("name", "asked"),
    [("requirements.txt", DEPENDENCIES), ("requirements-dev.txt", [*DEPENDENCIES, *DEV])],
)
def test_requirements_name_nothing_that_pyproject_does_not(
    name: str, asked: list[Requirement]
) -> None:
    text = (ROOT / name).read_text("utf-8")
    direct = re.findall(
        r"^(\S+)==[^\n]*\n(?:    #[^\n]*\n)*?    #[^\n]*helpdesk-numbers", text, re.M
    )
    assert set(direct) == {requirement.name for requirement in asked}


def test_tests_run_with_the_versions_that_are_deployed() -> None:
    dev = pins("requirements-dev.txt")
    different = {
        name: (pin, dev.get(name))
        for name, pin in pins("requirements.txt").items()
        if dev.get(name) != pin
    }
    assert not different


def test_no_lock_file_names_a_registry() -> None:
    locks = re.compile(r"requirements.*\.txt|.*\.lock|.*-lock\.(json|yaml)|pip\.conf|\.npmrc")
    for path, text in texts():
        if locks.fullmatch(path.name):
            assert not re.search(r"://|^\s*-|index-url|find-links", text, re.M), path


def test_only_one_lock_file_stands_in_the_root() -> None:
    """Heroku refuses to choose between several."""
    found = {"requirements.txt", "uv.lock", "poetry.lock", "Pipfile", "Pipfile.lock"} & {
        str(path) for path in tracked()
    }
    assert found == {"requirements.txt"}


# In pieces, so that this file does not hold what it looks for.
ELSEWHERE = re.compile(
    "|".join(
        [
            *(re.escape(f"{path}/") for path in (ROOT, Path.home()) if len(path.parts) > 2),
            r"(?<![\w.-])/" + r"(?:home|root|Users|work)/[\w.]",
            r"\.\./" + "shared",
            r"\b" + r"(?:py" + r"pi\.org|python" + r"hosted\.org|npm" + r"js\.(?:org|com))",
        ]
    )
)


def test_no_file_names_a_path_of_a_machine_or_a_registry() -> None:
    found = [
        f"{path}:{number}: {line.strip()[:80]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if ELSEWHERE.search(line)
    ]
    assert not found


def test_procfile_starts_the_app() -> None:
    lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
    assert lines == ["release: flask database upgrade", 'web: gunicorn "app:create_app()"']


def test_app_json_names_known_variables_and_no_secret() -> None:
    described = json.loads((ROOT / "app.json").read_text("utf-8"))
    options = {
        providers.prefix(name) + field.name.upper()
        for name in providers.BUILT_IN
        for field in fields(providers.load(name).Options)
    }
    settings = {field.name.upper(): field for field in fields(Settings)}
    assert set(described["env"]) <= set(settings) | options
    required = {name for name, about in described["env"].items() if about.get("required", True)}
    assert required == {"HUBSPOT_CLIENT_SECRET"}  # Service.settings does without
    assert not [
        name for name, about in described["env"].items() if "TOKEN" in name and "value" in about
    ]


def test_python_version_is_a_minor_one_that_pyproject_allows() -> None:
    version = (ROOT / ".python-version").read_text("utf-8").strip()
    assert re.fullmatch(r"3\.\d+", version)
    assert SpecifierSet(PYPROJECT["project"]["requires-python"]).contains(version)


def test_ci_tries_every_python_from_the_oldest_allowed_on() -> None:
    (listed,) = re.findall(r"python: \[(.*?)\]", page := CI.read_text("utf-8"))
    versions = re.findall(r'"([\d.]+)"', listed)
    assert PYPROJECT["project"]["requires-python"] == f">={versions[0]}"
    assert (ROOT / ".python-version").read_text("utf-8").strip() in versions
    assert "run: .ci/run" in page


@pytest.mark.parametrize("house", ["helpdesk_numbers", "hubspot", "providers"])
def test_package_tells_type_checkers_that_it_is_typed(house: str) -> None:
    assert (ROOT / house / "py.typed").is_file()
    assert "py.typed" in PYPROJECT["tool"]["setuptools"]["package-data"]["*"]


def test_app_runs_from_a_copy_of_the_checkout_that_is_not_installed(tmp_path: Path) -> None:
    for path in tracked():
        (tmp_path / path.parent).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, tmp_path / path)
    script = (
        "import app, helpdesk_numbers, hubspot, providers\n"
        "environ = {'HUBSPOT_CLIENT_SECRET': 'x', 'DIRECTORY': 'examples/directory.toml'}\n"
        "assert app.create_app(environ).test_client().get('/readyz').status_code == 200\n"
        "for module in (app, helpdesk_numbers, hubspot, providers): print(module.__file__)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    places = [Path(line) for line in ran.stdout.splitlines()]
    assert len(places) == 4
    assert all(place.is_relative_to(tmp_path) for place in places)


HOUSES = ("helpdesk_numbers", "hubspot", "providers")


def imports(path: Path) -> set[str]:
    """The absolute names of all modules that a file imports, wherever in it."""
    package = path.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1] if node.level else ())
            module = [*base, *([node.module] if node.module else [])]
            found |= {".".join([*module, name.name]) for name in node.names}
    return found


def modules(folder: str) -> dict[str, Path]:
    """The modules below a folder, by their absolute names."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


# Which modules may not be imported, wherever in a file, by those of a folder.
FORBIDDEN = {
    "hubspot": {"app", "helpdesk_numbers", "providers", "flask", "werkzeug", "click", "os"},
    "providers": {"app", "helpdesk_numbers", "hubspot", "flask", "werkzeug", "click"},
    "helpdesk_numbers": {"app"},
}


@pytest.mark.parametrize("house", FORBIDDEN)
def test_imports_point_one_way(house: str) -> None:
    for path in modules(house).values():
        tops = {name.partition(".")[0] for name in imports(path)}
        assert not tops & FORBIDDEN[house], path


def test_nothing_that_serves_imports_tests_or_what_tests_are_made_with() -> None:
    for_tests = re.compile(r"(tests|pytest|providers\.testing)\b")
    for house in HOUSES:
        for name, path in modules(house).items():
            if not for_tests.match(name):
                assert not list(filter(for_tests.match, imports(path))), path


def test_no_module_imports_itself_by_way_of_others() -> None:
    known = {name: path for house in HOUSES for name, path in modules(house).items()}
    graph = {
        name: {
            target
            for imported in imports(path)
            for target in (imported, imported.rpartition(".")[0])
            if target in known and target != name and not name.startswith(f"{target}.")
        }
        for name, path in known.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("name", ["signature", "schema", "names"])
def test_module_is_pure(name: str) -> None:
    tops = {one.partition(".")[0] for one in imports(ROOT / "hubspot" / f"{name}.py")}
    assert not tops & {"time", "datetime", "requests", "logging", "socket", "threading"}
