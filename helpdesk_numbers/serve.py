"""`helpdesk-numbers`: the commands from any folder, and `serve`, the service itself.

`make run` serves by this too, with the settings in .env.
"""

import errno
import os
import socket
import sys
from pathlib import Path
from pkgutil import resolve_name

CONFIG = "python:helpdesk_numbers.gunicorn_conf"


def main() -> None:
    """Run the command that the arguments name."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["serve"]:
        serve(arguments[1:])
    from flask.cli import FlaskGroup

    FlaskGroup(create_app=resolve_name("app:create_app")).main(prog_name="helpdesk-numbers")


def serve(arguments: list[str]) -> None:
    """Become gunicorn with this service's configuration; `arguments` are gunicorn's.

    Raises SystemExit, with what to do, if the port is taken.
    """
    _check_port()
    command = [sys.executable, "-m", "gunicorn", "-c", CONFIG, *arguments, "app:create_app()"]
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
