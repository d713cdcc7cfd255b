"""The directory's text, as editors and dashboards leave it."""

import base64
from pathlib import Path

import pytest

from helpdesk_numbers.directory.file import DirectoryFile
from providers.base.options import Faults

TOML = """[accounts.desk]
provider = "static"
numbers = [{ number = "+12025550143", name = "Café" }]
[portals.62515]
accounts = ["desk"]
"""


def accounts(environ: dict[str, str], path: str | None = None, text: str | None = None) -> set[str]:
    return set(DirectoryFile(environ, path, text).current().accounts)


@pytest.mark.parametrize(
    "data",
    [
        TOML.encode("utf-8-sig"),  # https://github.com/python/cpython/issues/157201
        TOML.encode("utf-16"),
        b"\xfe\xff" + TOML.encode("utf-16-be"),
        TOML.encode("utf-16-le"),
        TOML.replace("\n", "\r\n").encode(),
        TOML.replace("\n", "\r\n").encode("utf-8-sig"),
    ],
)
def test_a_file_of_any_editor_is_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "directory.toml"
    path.write_bytes(data)
    assert accounts({}, str(path)) == {"desk"}


@pytest.mark.parametrize(
    "text",
    [
        TOML,
        "\ufeff" + TOML,
        f"'{TOML}'",
        f'"{TOML}"',
        TOML.replace("\n", "\r\n"),
        TOML.replace("\n", "\\n"),  # https://github.com/heroku/cli/issues/821
        TOML.replace("\n", "\\r\\n"),
        '"' + TOML.replace('"', '\\"').replace("\n", "\\n") + '"',
        f"'{TOML}'\n".replace("\n", "\\n", 1).replace("\\n", "\n"),
    ],
)
def test_a_variable_of_any_dashboard_is_read(text: str) -> None:
    assert accounts({}, text=text) == {"desk"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"accounts": {}}', "it looks like JSON"),
        ("accounts:\n  desk:\n    provider: static\n", "it looks like YAML"),
        ("conf/directory.toml", "it looks like a path: that is DIRECTORY's"),
        (TOML.replace('"static"', "“static”"), "typographic quotation marks"),
        (base64.b64encode(TOML.encode()).decode(), "it looks like Base64"),
        ("accounts = [", "DIRECTORY_TOML is not TOML: "),
        (TOML.replace("accounts = ", "accounts\u00a0= "), "a character that nobody sees, U\\+00A0"),
    ],
)
def test_what_else_it_is_is_said(text: str, words: str) -> None:
    with pytest.raises(Faults, match=words):
        accounts({}, text=text)


def test_text_in_place_of_a_path_is_said() -> None:
    with pytest.raises(Faults, match="it is the directory's text, not a path") as error:
        accounts({}, TOML)
    assert "DIRECTORY_TOML" in error.value.faults[0].remedy  # type: ignore[attr-defined]


def test_latin_1_is_told_from_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "directory.toml"
    path.write_bytes(TOML.encode("latin-1"))
    with pytest.raises(Faults, match="it is not UTF-8"):
        accounts({}, str(path))


@pytest.mark.parametrize("value", ["a-token\n", " a-token", "a-token\r\n"])
def test_what_stands_around_a_variable_is_no_part_of_it(value: str) -> None:
    """https://github.com/kubernetes/kubernetes/issues/23404"""
    text = TOML.replace('"static"', '"telnyx"').replace(
        'numbers = [{ number = "+12025550143", name = "Café" }]', 'api_key = "env:KEY"'
    )
    account = DirectoryFile({"KEY": value}, None, text).current().accounts["desk"]
    assert account.options.api_key == "a-token"  # type: ignore[attr-defined]
    with pytest.raises(Faults, match="the environment variable KEY is not set"):
        DirectoryFile({"KEY": " \n"}, None, text)


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        (
            '[portals.62515.users.1001]\nnames = ["a"]\n',
            r"portals.62515.users: .*did you mean 'user'",
        ),
        (
            '[portals.62515.1001]\nnames = ["a"]\n',
            r"portals.62515.1001: .*did you mean 'user.1001'",
        ),
    ],
)
def test_a_rule_beside_its_place_is_told(slip: str, words: str) -> None:
    with pytest.raises(Faults, match=words) as error:
        accounts({}, text=TOML + slip)
    assert len(error.value.faults) == 1
