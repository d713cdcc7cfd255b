"""Lines of the log, and who reads them, or does not."""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

import pytest

from helpdesk_numbers import log_lines
from helpdesk_numbers.log_lines import JSONFormatter, Output, TextFormatter

ODD = "a\x1b[31mb\u202ec\u2028d\u061ce\x85f\x00g\rh"


def record(message: str, **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "INFO", "levelno": 20, **fields})


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
def test_nothing_in_a_line_can_be_taken_for_another_or_turn_it_around(
    formatter: logging.Formatter,
) -> None:
    try:
        raise ValueError(ODD)
    except ValueError:
        made = record(ODD + "\n", path=ODD, exc_info=sys.exc_info())
    line = formatter.format(made)
    assert all(one.isprintable() for one in line.split("\n"))
    assert line.split("\n")[0].startswith("{" if "{" in line[:1] else formatter.formatTime(made))


class Pipe:
    """Standard error as a pipe that nobody reads until told to."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        self.file: IO[str] = os.fdopen(writing, "w")

    def fill(self) -> None:
        os.set_blocking(self.file.fileno(), False)
        with suppress(BlockingIOError):
            while os.write(self.file.fileno(), b"\n" * 4096):
                pass
        os.set_blocking(self.file.fileno(), True)

    def read(self) -> list[dict[str, object]]:
        """What is written from now on until the other side is closed."""
        with os.fdopen(self._reading) as file:
            return [json.loads(line) for line in file if line.strip()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    with suppress(OSError):
        made.file.close()


def test_a_log_that_nobody_reads_drops_lines_and_says_how_many(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", pipe.file)
    monkeypatch.setattr(log_lines, "MAX_WAITING", 100)
    pipe.fill()
    output = Output()
    output.setFormatter(JSONFormatter())
    output.start()
    began = time.monotonic()
    for number in range(2000):
        output.handle(record("request", number=number))
    assert time.monotonic() - began < 5
    output.stop()
    assert time.monotonic() - began < 5
    lines: list[dict[str, object]] = []
    reader = threading.Thread(target=lambda: lines.extend(pipe.read()))
    reader.start()
    assert output._thread
    output._thread.join(20)
    pipe.file.close()
    reader.join(20)
    written = [line for line in lines if line["event"] == "request"]
    dropped = [line["count"] for line in lines if line["event"] == "log_lines_dropped"]
    assert len(written) < 1500
    assert dropped
    assert len(written) + sum(int(str(count)) for count in dropped) == 2000


def test_only_the_first_line_waits_for_a_reader_that_is_gone(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", pipe.file)
    pipe.fill()
    output = Output()
    output.setFormatter(JSONFormatter())
    began = time.monotonic()
    for _ in range(50):
        output.handle(record("request"))
    assert time.monotonic() - began < 10


def test_without_another_thread_lines_are_written_at_once(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", pipe.file)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    output = Output()
    output.setFormatter(JSONFormatter())
    output.start()
    output.handle(record("request"))
    output.stop()
    pipe.file.close()
    assert [line["event"] for line in pipe.read()] == ["request"]


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
@pytest.mark.parametrize("odd", [{"args": ("x",), "msg": "%d items"}, {"reason": "half \ud83d"}])
def test_a_line_that_cannot_be_formatted_costs_itself_alone(
    formatter: logging.Formatter, odd: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output()
    output.setFormatter(formatter)
    output.start()
    for made in (
        record("before"),
        logging.makeLogRecord({"name": "a-library", **odd}),
        record("x"),
    ):
        output.emit(made)
    output.stop()
    first, broken, last = capsys.readouterr().err.splitlines()
    assert "before" in first
    assert "log_line_failed" in broken or "half" in broken
    assert "x" in last
