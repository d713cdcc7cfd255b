"""A carrier's package of its own: built, installed by pip, and usable at once."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.testing.carrier import Asked, Carrier, Reply
from tests.support.commands import Done
from tests.support.server import ROOT, environ

KEY = "not-a-real-key"
REPLY = json.loads((ROOT / "examples/carrier-package/larkline.json").read_text("utf-8"))["body"]


class Installed:
    """A fresh environment with the example package, and our requirements beside it."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "carrier-package"
        built = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT / "examples" / "carrier-package", self.package, ignore=built)
        venv.create(folder / "venv", symlinks=True)
        self.python = str(folder / "venv" / "bin" / "python")
        places = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
        self.packages = Path(sysconfig.get_path("purelib", vars=places))
        ours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (self.packages / "requirements.pth").write_text("\n".join(sorted(ours)))

    def install(self) -> None:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--python", self.python, "install"),
                *("--no-deps", "--disable-pip-version-check", str(self.package)),
            ],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if "No matching distribution found for setuptools" in done.stderr:
            pytest.skip("pip cannot get setuptools here, which builds the package")
        assert done.returncode == 0, done.stderr
        (self.package / "larkline.py").unlink()  # so that its tests import what pip installed

    def run(self, *arguments: str, **settings: str) -> Done:
        """Run a module of it in the checkout, which is what serves."""
        return subprocess.run(
            [self.python, "-m", *arguments],
            cwd=ROOT,
            env=environ({"FLASK_SKIP_DOTENV": "1", "PYTHONDONTWRITEBYTECODE": "1", **settings}),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def providers(self) -> dict[str, dict[str, object]]:
        done = self.run("flask", "providers", "--json")
        assert done.returncode == 0, done.stderr
        return {one["provider"]: one for one in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    pytest.importorskip("pip")
    made = Installed(tmp_path_factory.mktemp("third-party"))
    assert "larkline" not in made.providers(), "it is there without being installed"
    made.install()
    return made


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    def answer(asked: Asked) -> Reply:
        right = asked.headers["Authorization"] == f"Bearer {KEY}" and asked.path == "/v2/numbers"
        return Reply(REPLY) if right else Reply({}, 401)

    with Carrier(answer) as carrier:
        yield carrier


def test_it_is_installed_as_pip_installs(installed: Installed) -> None:
    (info,) = installed.packages.glob("helpdesk_numbers_larkline-*.dist-info")
    assert "larkline = larkline:Larkline" in (info / "entry_points.txt").read_text()
    assert (installed.packages / "larkline.py").is_file()
    assert not (installed.packages / "test_larkline.py").exists()


def test_it_is_listed_with_its_options(installed: Installed) -> None:
    larkline = installed.providers()["larkline"]
    assert larkline["error"] is None
    assert isinstance(larkline["options"], list)
    options = {one["variable"]: one for one in larkline["options"]}
    assert set(options) == {"LARKLINE_API_KEY", "LARKLINE_BASE_URL", "LARKLINE_COUNTRY"}
    assert options["LARKLINE_API_KEY"]["required"]
    assert options["LARKLINE_API_KEY"]["secret"]


def test_its_numbers_are_looked_up_for_a_portal(installed: Installed, carrier: Carrier) -> None:
    done = installed.run(
        *("flask", "numbers", "--portal-id", "62515", "--user-id", "1", "--json", "--explain"),
        HUBSPOT_CLIENT_SECRET="a-secret-of-tests",
        HUBSPOT_PORTAL_IDS="62515",
        PROVIDER="larkline",
        LARKLINE_API_KEY=KEY,
        LARKLINE_BASE_URL=f"{carrier.url}/v2",
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    shown = [(one["e164PhoneNumber"], one["friendlyName"]) for one in data["phoneNumbers"]]
    assert shown == [("+12025550143", "Front desk")]
    assert [one["reason"] for one in data["leftOut"]] == ["cannot take calls"]


def test_its_own_tests_pass(installed: Installed) -> None:
    done = installed.run("pytest", "-q", "-p", "no:cacheprovider", str(installed.package))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 40


def test_its_own_tests_can_fail(installed: Installed) -> None:
    """They test the installed module, and nothing of ours by the same name."""
    module = installed.packages / "larkline.py"
    good = module.read_text("utf-8")
    module.write_text(good.replace('== "active"', '!= "cancelled"'), "utf-8")
    try:
        done = installed.run(
            *("pytest", "-q", "-p", "no:cacheprovider", str(installed.package)),
            *("-k", "numbers_that_cannot_take_calls"),
        )
    finally:
        module.write_text(good, "utf-8")
    assert done.returncode == 1
    assert "test_numbers_that_cannot_take_calls_say_so" in done.stdout
