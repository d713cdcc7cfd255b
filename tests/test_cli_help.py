"""Every command's `--help`, of which docs are made."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask import Flask

from helpdesk_numbers import cli
from tests.support.commands import here


def commands(group: click.Group, words: str = "") -> Iterator[tuple[str, click.Command]]:
    """Each command that does something, by its words after `flask`."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield words + name, command
        if isinstance(command, click.Group):
            yield from commands(command, f"{words}{name} ")


def registered() -> click.Group:
    """The group of all commands, as `flask` has it."""
    app = Flask("commands")
    cli.register(app)
    return app.cli


COMMANDS = dict(commands(registered()))


@pytest.mark.parametrize("words", COMMANDS)
def test_help_ends_with_an_example_that_can_be_run(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = here({}, *words.split(), "--help")
    assert done.returncode == 0
    example = done.stdout.splitlines()[-1].strip().removeprefix("Example: flask ")
    assert example.startswith(words)
    (tmp_path / "service.log").touch()
    monkeypatch.chdir(tmp_path)
    # Refuses what is no option or value of this command.
    COMMANDS[words].make_context(words, example.removeprefix(words).split()).close()


@pytest.mark.parametrize("words", COMMANDS)
def test_every_sentence_of_the_help_is_whole(words: str) -> None:
    command = COMMANDS[words]
    options = [option for option in command.params if isinstance(option, click.Option)]
    for text in [command.help, *(option.help for option in options)]:
        assert text
        assert text[0].isupper()
        assert text.rstrip()[-1] in ".]}", text
