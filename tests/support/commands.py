"""`flask …`, as a user runs it, and without the half second that a process takes."""

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner
from flask.cli import FlaskGroup

from app import create_app
from tests.support.https import PROXY
from tests.support.server import ROOT, environ

Done = subprocess.CompletedProcess[str]


def flask(settings: dict[str, str], *arguments: str, stdin: str = "", cwd: Path = ROOT) -> Done:
    """Run a command as a user does, in an environment that has just these settings."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "flask"), *arguments],
        cwd=cwd,
        env=environ({"FLASK_SKIP_DOTENV": "1", **settings}),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,  # without a terminal to answer questions on
    )


def here(settings: dict[str, str], *arguments: str, stdin: str = "") -> Done:
    """Run a command in this process, with just these settings."""
    group = FlaskGroup(create_app=lambda: create_app(settings), load_dotenv=False)
    runner = CliRunner(env={n: v for n, v in settings.items() if n in PROXY})
    result = runner.invoke(group, arguments, input=stdin, prog_name="flask")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Done(arguments, result.exit_code, result.stdout, result.stderr)
