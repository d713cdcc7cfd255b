"""Logs: one event a line on standard error, as JSON or for people."""

import logging
import logging.config
import os
import re
import sys
from collections.abc import Container, Iterable
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import lru_cache
from queue import SimpleQueue
from select import select
from threading import Thread
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("helpdesk_numbers")

# A number that slipped into a log through another's words (an odd path, a library's message).
_PHONE_NUMBER = re.compile(r"(?:\+|%2B)\d{7,15}", re.IGNORECASE)

_PERSONAL = re.compile(
    r"(?:\d(?:[ ().+-]|%2[0-9A-F])*){7,}"  # could be a phone number
    r"|[^\s/?&=#]+(?:@|%40)[^\s/?&=#]+",  # an e-mail address: HubSpot's proxy appends `userEmail`
    re.IGNORECASE,
)


@lru_cache(maxsize=64)
def redact(url: str) -> str:
    """Return a URL or path as it may be logged: without what could be a phone number or an e-mail
    address. Its host stays as it is, since that is what a refused signature is mostly about."""
    base = re.match(r"(?:\w+://[^/?#]*)?", url)
    start = base.end() if base else 0
    return url[:start] + _PERSONAL.sub("…", url[start:])


class RequestLog:
    """WSGI: one line for each request, and the headers that every answer carries.

    What answers the request adds to the line by `log_fields`. Requests for the paths in `quiet`
    have no line.
    """

    def __init__(self, app: "WSGIApplication", quiet: Container[str] = ()) -> None:
        self._app, self._quiet = app, quiet

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request, and log it when it is answered."""
        started = perf_counter()
        correlation_id, path = _new_id(), environ["PATH_INFO"]
        fields: dict[str, Any] = {
            "correlation_id": correlation_id,
            "method": environ["REQUEST_METHOD"],
            "path": redact(path.encode("latin-1").decode(errors="replace"))[:200],
            "status": None,
        }
        environ[_FIELDS] = fields

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            fields["status"] = int(status[:3])
            headers += [("X-Correlation-Id", correlation_id), ("Cache-Control", "no-store")]
            return start_response(status, headers, *error)

        answer = self._app(environ, start)
        if path not in self._quiet:
            fields["ms"] = round((perf_counter() - started) * 1000, 1)
            OUTPUT.log(log, _level(fields["status"]), "request", fields)
        return answer


def _new_id() -> str:
    """A random UUID (version 4) as text, in a quarter of the time that `uuid.uuid4` takes."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def _level(status: int) -> int:
    if status < 500:
        return logging.INFO
    return logging.ERROR if status == 500 else logging.WARNING  # 500: ours; 502, 503: a carrier's


_FIELDS = "helpdesk_numbers.log_fields"


def log_fields(environ: "WSGIEnvironment") -> dict[str, Any]:
    """The fields of the request's line so far, to be added to."""
    fields: dict[str, Any] = environ[_FIELDS]
    return fields


_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The event's own fields."""
    return {name: value for name, value in vars(record).items() if name not in _OWN}


class JSONFormatter(logging.Formatter):
    """`{"level": …, "event": …, (the event's own fields), "time": …}`."""

    def event(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what the line says."""
        time = datetime.fromtimestamp(record.created, UTC)
        event = _event(record.levelno, record.getMessage(), _fields(record), time)
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
_UNPRINTABLE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _json_lines(events: Iterable[dict[str, Any]]) -> str:
    text = _PHONE_NUMBER.sub("+…", _ENCODER.encode_lines(events).decode())
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class TextFormatter(logging.Formatter):
    """`12:00:00 INFO request status=200 …`, for people."""

    default_time_format = "%H:%M:%S"
    default_msec_format = ""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's spelling
        """Return the line, without phone numbers."""
        fields = (f"{name}={_shown(value)}" for name, value in _fields(record).items())
        return _PHONE_NUMBER.sub("+…", " ".join([super().formatMessage(record), *fields]))


def _shown(value: object) -> str:
    """The value, quoted where it would not read as one word of one line."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(value)


MAX_WAITING = 10_000
"""So many lines wait for a reader of standard error who is slow, or gone; more are dropped."""

PATIENCE_S = 1.0
"""How long a process waits for that reader where it has nothing else to do."""

_Line = logging.LogRecord | dict[str, Any]


class Output(logging.Handler):
    """Writes lines to standard error, by a thread once it is started: then nobody waits for whoever
    reads them. Before that each is written at once, or dropped after PATIENCE_S."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: SimpleQueue[_Line | None] | None = None
        self._thread: Thread | None = None
        self._dropped = 0

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
        self._queue = SimpleQueue()
        self._thread = Thread(target=self._write_all, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Give what waits PATIENCE_S to be written, and write at once from now on."""
        if self._queue and self._thread:
            self._queue.put(None)
            self._thread.join(PATIENCE_S)
        self._queue = None

    def _put(self, line: _Line) -> None:
        if self._queue is None:
            with self.lock or nullcontext():
                if _is_read():
                    self._write([line])
        elif self._queue.qsize() < MAX_WAITING:
            self._queue.put(line)
        else:
            self._dropped += 1

    def _write_all(self) -> None:
        """Write what comes, until that is None."""
        queue, line = self._queue, None
        while queue and (line := queue.get()):
            sleep(0.01)  # for others to come: waking this thread for each costs more than the rest
            lines = [line]
            while line and len(lines) < 500 and queue.qsize():
                if line := queue.get():
                    lines.append(line)
            if dropped := self._dropped:
                self._dropped -= dropped
                said = {"levelno": logging.WARNING, "levelname": "WARNING", "count": dropped}
                lines.append(logging.makeLogRecord({"msg": "log_lines_dropped", **said}))
            self._write(lines)
            if not line:
                return

    def _write(self, lines: list[_Line]) -> None:
        formatter = self.formatter
        if isinstance(formatter, JSONFormatter):
            text = _json_lines(x if isinstance(x, dict) else formatter.event(x) for x in lines)
        else:
            text = "".join(f"{self.format(x)}\n" for x in lines if not isinstance(x, dict))
        with suppress(OSError, ValueError):  # closed
            sys.stderr.write(text)
            sys.stderr.flush()


def _is_read() -> bool:
    """Whether standard error takes a line within PATIENCE_S."""
    try:
        return bool(select([], [sys.stderr], [], PATIENCE_S)[1])
    except (OSError, ValueError):  # not a file that can be waited for
        return True


OUTPUT = Output()


def _without_text(record: logging.LogRecord) -> bool:
    """gunicorn quotes what it cannot read and where it came from; that may be anything."""
    if str(record.msg).startswith("Invalid request from"):
        record.msg = "Invalid request"
    elif str(record.msg).startswith("Error handling request"):
        record.msg, record.args = "Error handling request", ()
    return True


def config(log_format: str, log_level: str) -> dict[str, Any]:
    """The configuration of `logging`, for the service and for gunicorn alike.

    gunicorn's access log stays off, whatever the platform's GUNICORN_CMD_ARGS say: the service
    writes one line a request itself, with no client's address in it.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"strangers": {"()": lambda: _without_text}},
        "formatters": {"json": {"()": JSONFormatter}, "text": {"()": TextFormatter}},
        "handlers": {"out": {"()": lambda: OUTPUT, "formatter": log_format}},
        "root": {"level": "WARNING", "handlers": ["out"]},
        "loggers": {
            "helpdesk_numbers": {"level": log_level.upper()},
            "urllib3": {"level": "ERROR"},  # its warnings show URLs
            "gunicorn.error": {
                "level": "INFO",
                "filters": ["strangers"],
                "handlers": ["out"],
                "propagate": False,
            },
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
        },
    }


def set_up(log_format: str, log_level: str) -> None:
    """Configure `logging` for this process."""
    logging.config.dictConfig(config(log_format, log_level))
    # No line shows these: https://docs.python.org/3/howto/logging.html#optimization
    logging._srcfile = None
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
