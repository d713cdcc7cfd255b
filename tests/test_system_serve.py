"""How the service is started beside the Procfile: from the wheel, by `make run`, and refused."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.support.asking import SECRET, ask_server
from tests.support.commands import here
from tests.support.server import ROOT, environ, free_port, procfile, started

DESK = """[accounts.desk]
provider = "static"
numbers = [{ number = "+12025550143" }]
[portals.62515]
accounts = ["desk"]
"""
SETTINGS = {"HUBSPOT_CLIENT_SECRET": SECRET, "DIRECTORY_TOML": DESK}


def asked_until_up(url: str, process: "subprocess.Popen[str]") -> requests.Response:
    for _ in range(1000):
        assert process.poll() is None, process.communicate()
        try:
            return ask_server(url)
        except requests.ConnectionError:
            time.sleep(0.02)
    raise AssertionError("it did not start")


def serve(folder: Path, *command: str, **settings: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=environ({"PYTHONPATH": str(ROOT), **settings}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


MAIN = ("-c", "from helpdesk_numbers.serve import main; main()", "serve")


def test_it_serves_from_any_folder_with_its_own_configuration(tmp_path: Path) -> None:
    port = free_port()
    process = serve(tmp_path, *MAIN, **SETTINGS, PORT=str(port))
    try:
        assert asked_until_up(f"http://127.0.0.1:{port}", process).status_code == 200
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=30)
    assert "Using worker: helpdesk_numbers.worker.Worker" in output
    assert "without this service's configuration" not in output


def test_it_serves_no_app_of_the_folder_it_is_started_in(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise SystemExit('another app')")
    port = free_port()
    process = serve(tmp_path, *MAIN, **SETTINGS, PORT=str(port))
    try:
        assert asked_until_up(f"http://127.0.0.1:{port}", process).status_code == 200
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.parametrize("given", ["--bind={}", "-b{}", "GUNICORN_CMD_ARGS"])
def test_a_port_that_is_not_listened_on_may_be_taken(given: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy, bind = taken.getsockname()[1], f"127.0.0.1:{free_port()}"
        by_variable = {given: f"--bind {bind}"} if given.isupper() else {}
        arguments = () if by_variable else (given.format(bind),)
        process = serve(ROOT, *MAIN, *arguments, **SETTINGS, PORT=str(busy), **by_variable)
        try:
            assert asked_until_up(f"http://{bind}", process).status_code == 200
        finally:
            process.terminate()
            process.communicate(timeout=30)


def test_gunicorn_without_the_configuration_says_so(tmp_path: Path) -> None:
    port = free_port()
    command = ("-m", "gunicorn", "-b", f"127.0.0.1:{port}", "app:create_app()")
    process = serve(tmp_path, *command, **SETTINGS)
    try:
        assert asked_until_up(f"http://127.0.0.1:{port}", process).status_code == 200
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=30)
    assert "without this service's configuration" in output
    assert "helpdesk-numbers serve" in output


def test_a_port_that_is_taken_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = serve(ROOT, *MAIN, **SETTINGS, PORT=port)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert output == (
        f"helpdesk-numbers: port {port} is taken by another program: stop that, or set PORT to"
        " another\n"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no .env: `cp .env.example .env`, and fill it in"),
        (b"A=\xff\xe9", ".env cannot be read: it is not UTF-8"),
    ],
)
def test_make_run_without_a_good_env_says_what_to_do(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content:
        (tmp_path / ".env").write_bytes(content)
    process = serve(tmp_path, "-m", "helpdesk_numbers.serve")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert words in output
    assert "Traceback" not in output


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_make_run_reads_env_of_any_editor(tmp_path: Path, encoding: str) -> None:
    port = free_port()
    (tmp_path / "directory.toml").write_text(DESK)
    text = f"HUBSPOT_CLIENT_SECRET={SECRET}\r\nDIRECTORY=directory.toml\r\nPORT={port}\r\n"
    (tmp_path / ".env").write_bytes(text.encode(encoding))
    process = serve(tmp_path, "-m", "helpdesk_numbers.serve")
    try:
        assert asked_until_up(f"http://127.0.0.1:{port}", process).status_code == 200
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_what_gunicorn_refuses_is_answered_in_hubspots_shape() -> None:
    with started(procfile(), SETTINGS | {"SCRIPT_NAME": "/numbers"}) as server:
        for _ in range(1000):
            with suppress(requests.ConnectionError):
                requests.get(f"{server.url}/numbers/healthz", timeout=10)
                break
            time.sleep(0.02)
        answer = requests.get(f"{server.url}/healthz", timeout=10)
        assert answer.status_code == 500
        assert answer.json()["message"] == "The request's path does not begin with SCRIPT_NAME."
        assert set(answer.json()) == {"status", "message", "correlationId", "category"}
        assert requests.get(f"{server.url}/numbers/healthz", timeout=10).json() == {"status": "ok"}
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as raw:
            raw.sendall(b"NONSENSE\r\n\r\n")
            sent = raw.makefile("rb").read()
        assert sent.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b'"category":"BAD_REQUEST"' in sent
        assert b"<html>" not in sent
        assert "SCRIPT_NAME is set" in server.output()


@pytest.mark.parametrize(
    ("url", "ok", "words"),
    [
        ("https://a.example/numbers", False, "PUBLIC_URL ends in it too"),
        ("https://a.example", None, "every request that does not begin with it gets a 500"),
    ],
)
def test_check_names_script_name(url: str, ok: bool | None, words: str) -> None:
    settings = SETTINGS | {"SCRIPT_NAME": "/numbers", "PUBLIC_URL": url}
    done = here(settings, "check", "--offline")
    assert words in done.stdout
    assert done.returncode == (1 if ok is False else 0)


def made(folder: Path, *arguments: str) -> str:
    """What make would do."""
    ran = subprocess.run(
        ["make", "-n", *arguments, "run"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "MAKEFLAGS": ""},
        check=False,
    )
    return ran.stdout + ran.stderr


def test_a_half_made_or_broken_venv_is_made_anew(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("run", "dev"):
        (tmp_path / ".venv" / name).touch()
    assert re.search("-m venv --clear .venv", made(tmp_path)), "its Python is gone"
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / ".venv" / "run").touch()
    assert "-m venv" not in made(tmp_path)
    assert "-m venv" not in made(tmp_path, f"PYTHON={sys.executable}")
    (tmp_path / ".venv" / "bin" / "python").unlink()
    (tmp_path / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 0\n")  # one too old
    (tmp_path / ".venv" / "bin" / "python").chmod(0o755)
    assert re.search("-m venv --clear .venv", made(tmp_path))
