"""Log lines: what each looks like, and a thread that writes them whoever may not read them."""

import logging
import re
import sys
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from queue import SimpleQueue
from select import select
from threading import Thread
from time import sleep
from typing import Any

import msgspec

# A number that slipped into a log through another's words (an odd path, a library's message).
_PHONE_NUMBER = re.compile(r"(?:\+|%2B)\d{7,15}", re.IGNORECASE)

# An address, such as that of a rule's place in the directory.
_NO_ADDRESS = r"\s\"'<>,;:()\[\]{}=/\\@"
_ADDRESS = re.compile(rf"[^{_NO_ADDRESS}]+@[^{_NO_ADDRESS}]+")

_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The event's own fields."""
    return {name: value for name, value in vars(record).items() if name not in _OWN}


class JSONFormatter(logging.Formatter):
    """`{"level": …, "event": …, (the event's own fields), "time": …}`."""

    def event(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what the line says."""
        at = datetime.fromtimestamp(record.created, UTC)
        event = _event(record.levelno, record.getMessage(), _fields(record), at)
        if record.exc_info:
            event["exc_info"] = self.formatException(record.exc_info)
        return event

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return _json_lines([self.event(record)])[:-1]


def _event(level: int, name: str, fields: dict[str, Any], time: datetime) -> dict[str, Any]:
    return {"level": logging.getLevelName(level), "event": name, **fields, "time": time}


_ENCODER = msgspec.json.Encoder(enc_hook=str)

# What turns a line into two, or its text around, on somebody's terminal: JSON need not escape it.
_UNPRINTABLE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def _json_lines(events: Iterable[dict[str, Any]]) -> str:
    return cleaned(_ENCODER.encode_lines(events).decode())


def cleaned(text: str) -> str:
    """Return the text without phone numbers and addresses, and what cannot be printed escaped."""
    text = _PHONE_NUMBER.sub("+…", text)
    if "@" in text:
        text = _ADDRESS.sub("…", text)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class TextFormatter(logging.Formatter):
    """`12:00:00 INFO request status=200 …`, for people."""

    default_time_format = "%H:%M:%S"
    default_msec_format = ""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and a traceback below it if there is one."""
        return cleaned(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's spelling
        """Return the line alone."""
        fields = (f"{name}={_shown(value)}" for name, value in _fields(record).items())
        return " ".join([super().formatMessage(record).replace("\n", "\\n"), *fields])


def _shown(value: object) -> str:
    """The value, quoted where it would not read as one word of one line."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(value)


MAX_WAITING = 4_000
"""So many lines wait for a reader of standard error who is slow, or gone; more are dropped."""

PATIENCE_S = 1.0
"""How long a process waits for that reader where it has nothing else to do."""

_Line = logging.LogRecord | dict[str, Any]


class Output(logging.Handler):
    """Writes lines to standard error, by a thread once it is started: then nobody waits for whoever
    reads them. Before that each is written at once; while nobody reads, they are dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: SimpleQueue[_Line | None] | None = None
        self._thread: Thread | None = None
        self._dropped = 0
        self._patience_s = PATIENCE_S

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record's line."""
        self._put(record)

    def log(self, logger: logging.Logger, level: int, name: str, fields: dict[str, Any]) -> None:
        """Do what `logger.log(level, name, extra=fields)` does, in a third of the time for JSON."""
        if not isinstance(self.formatter, JSONFormatter):
            logger.log(level, name, extra=fields)
        elif logger.isEnabledFor(level):
            self._put(_event(level, name, fields, datetime.now(UTC)))

    def start(self) -> None:
        """Have a thread write from now on. Threads do not outlive a fork: call it after that."""
        queue: SimpleQueue[_Line | None] = SimpleQueue()
        self._thread = Thread(target=self._write_all, args=(queue,), daemon=True)
        with suppress(RuntimeError):  # the system gives no more threads
            self._thread.start()
            self._queue = queue

    def stop(self) -> None:
        """Give what waits PATIENCE_S to be written, and write at once from now on."""
        with self.lock or nullcontext():
            queue, self._queue = self._queue, None
            self._patience_s = 0  # until the thread is done
        if queue and self._thread:
            queue.put(None)
            self._thread.join(PATIENCE_S)
            self._patience_s = 0 if self._thread.is_alive() else PATIENCE_S

    def _put(self, line: _Line) -> None:
        with self.lock or nullcontext():
            if self._queue is None:
                is_read = _is_read(self._patience_s)
                self._patience_s = PATIENCE_S if is_read else 0  # the next is not waited for again
                if is_read:
                    self._write([line])
            elif self._queue.qsize() < MAX_WAITING:
                self._queue.put(line)
            else:
                self._dropped += 1

    def _write_all(self, queue: "SimpleQueue[_Line | None]") -> None:
        """Write what comes, until that is None."""
        line: _Line | None
        while line := queue.get():
            sleep(0.01)  # for others to come: waking this thread for each costs more than the rest
            lines = [line]
            while line and len(lines) < 500 and queue.qsize():
                if line := queue.get():
                    lines.append(line)
            with self.lock or nullcontext():
                dropped, self._dropped = self._dropped, 0
            if dropped:
                lines.append(_event_record("log_lines_dropped", {"count": dropped}))
            self._write(lines)
            if not line:
                return

    def _write(self, lines: list[_Line]) -> None:
        try:
            text = self._text(lines)
        except Exception:  # a record of somebody's that cannot be formatted, among good ones
            text = "".join(map(self._text_of_one, lines))
        with suppress(OSError, ValueError):  # closed
            sys.stderr.write(text)
            sys.stderr.flush()

    def _text(self, lines: list[_Line]) -> str:
        formatter = self.formatter
        if isinstance(formatter, JSONFormatter):
            return _json_lines(x if isinstance(x, dict) else formatter.event(x) for x in lines)
        text = "".join(f"{self.format(x)}\n" for x in lines if not isinstance(x, dict))
        return text.encode(errors="backslashreplace").decode()

    def _text_of_one(self, line: _Line) -> str:
        try:
            return self._text([line])
        except Exception as error:  # its own text may be what cannot be written
            name = line.name if isinstance(line, logging.LogRecord) else line.get("event")
            fields = {"logger": name, "error": type(error).__name__}
            return self._text([_event_record("log_line_failed", fields)])


def _event_record(name: str, fields: dict[str, Any]) -> logging.LogRecord:
    level = {"levelno": logging.WARNING, "levelname": "WARNING"}
    return logging.makeLogRecord({"msg": name, **level, **fields})


def _is_read(patience_s: float) -> bool:
    """Whether standard error takes a line within that time."""
    try:
        return bool(select([], [sys.stderr], [], patience_s)[1])
    except (OSError, ValueError):  # not a file that can be waited for
        return True


OUTPUT = Output()
