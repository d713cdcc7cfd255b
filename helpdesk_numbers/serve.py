"""`helpdesk-numbers`: the commands from any folder, and `serve`, the service itself.

`make run` serves by this too, with the settings in .env.
"""

import errno
import os
import shlex
import socket
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

CONFIG, APP = "python:helpdesk_numbers.gunicorn_conf", "helpdesk_numbers.serve:create_app()"


def main() -> None:
    """Run the command that the arguments name."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["serve"]:
        serve(arguments[1:])
    from flask.cli import FlaskGroup

    FlaskGroup(create_app=create_app).main(prog_name="helpdesk-numbers")


def create_app() -> "Flask":
    """Return the app of the `app.py` beside this package: one of the current folder is another."""
    spec = spec_from_file_location("app", Path(__file__).parents[1] / "app.py")
    if spec is None or spec.loader is None:
        raise ImportError("no app.py beside helpdesk_numbers", name="app")
    module = sys.modules["app"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    app: Flask = module.create_app()
    return app


def serve(arguments: list[str]) -> None:
    """Become gunicorn with this service's configuration; `arguments` are gunicorn's.

    Raises SystemExit, with what to do, if the port is taken.
    """
    if not _is_bound_elsewhere(arguments):
        _check_port()
    command = [sys.executable, "-m", "gunicorn", "-c", CONFIG, *arguments, APP]
    os.execv(sys.executable, command)  # noqa: S606 - no shell: this process goes on as gunicorn


def serve_env(path: Path) -> None:
    """Serve with the settings of a file such as .env, where the environment has none.

    Raises SystemExit, with what to do, if it cannot be read.
    """
    from io import StringIO

    from dotenv import dotenv_values

    from helpdesk_numbers.directory.text import decode

    try:
        text = decode(path.read_bytes())
    except FileNotFoundError:
        raise SystemExit(
            f"helpdesk-numbers: there is no {path}: `cp .env.example {path}`, and fill it in"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8: save it as UTF-8"
        raise SystemExit(f"helpdesk-numbers: {path} cannot be read: {reason}") from None
    for name, value in dotenv_values(stream=StringIO(text)).items():
        os.environ.setdefault(name, value or "")
    serve([])


def _is_bound_elsewhere(arguments: list[str]) -> bool:
    """Whether PORT is not what gunicorn listens on: systemd or an argument names another place."""
    given = [*arguments, *shlex.split(os.environ.get("GUNICORN_CMD_ARGS", ""))]
    return "LISTEN_FDS" in os.environ or any(text.startswith(("-b", "--bind")) for text in given)


def _check_port() -> None:
    port = os.environ.get("PORT", "").strip() or "8000"
    if not port.isdecimal():
        return  # told by the configuration
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OverflowError:
            return
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SystemExit(
                    f"helpdesk-numbers: port {port} is taken by another program: stop that, or set"
                    " PORT to another"
                ) from None
            if error.errno == errno.EACCES:
                raise SystemExit(
                    f"helpdesk-numbers: port {port} is not allowed to this user: set PORT to one"
                    " above 1023"
                ) from None


if __name__ == "__main__":
    serve_env(Path(".env"))
