"""Logs: one event a line on standard error, as JSON or for people."""

import logging
import logging.config
import os
import re
from collections.abc import Container, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("helpdesk_numbers")

# A number that slipped into a log through another's words (an odd path, a library's message).
_PHONE_NUMBER = re.compile(r"(?:\+|%2B)\d{7,15}", re.IGNORECASE)

_DIGITS = re.compile(r"(?:\d(?:[ ().+-]|%2[0-9A-F])*){7,}", re.IGNORECASE)


@lru_cache(maxsize=64)
def redact_numbers(url: str) -> str:
    """A URL or path as it may be logged: whatever could be a phone number is left out.

    Its host stays as it is, since that is what a refused signature is mostly about.
    """
    base = re.match(r"(?:\w+://[^/?#]*)?", url)
    start = base.end() if base else 0
    return url[:start] + _DIGITS.sub("…", url[start:])


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
            "path": redact_numbers(path.encode("latin-1").decode(errors="replace"))[:200],
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
            log.log(_level(fields["status"]), "request", extra=fields)
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

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, without phone numbers."""
        line = {
            "level": record.levelname,
            "event": record.getMessage(),
            **_fields(record),
            "time": datetime.fromtimestamp(record.created, UTC),
        }
        if record.exc_info:
            line["exc_info"] = self.formatException(record.exc_info)
        return _PHONE_NUMBER.sub("+…", msgspec.json.encode(line, enc_hook=str).decode())


class TextFormatter(logging.Formatter):
    """`12:00:00 INFO request status=200 …`, for people."""

    default_time_format = "%H:%M:%S"
    default_msec_format = ""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's spelling
        """Return the record's line, without phone numbers."""
        fields = (f"{name}={_shown(value)}" for name, value in _fields(record).items())
        return _PHONE_NUMBER.sub("+…", " ".join([super().formatMessage(record), *fields]))


def _shown(value: object) -> str:
    """The value, quoted where it would not read as one word of one line."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(value)


def _without_text(record: logging.LogRecord) -> bool:
    """gunicorn quotes what it cannot read and where it came from; that may be anything."""
    if str(record.msg).startswith("Invalid request from"):
        record.msg = "Invalid request"
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
        "handlers": {"out": {"class": "logging.StreamHandler", "formatter": log_format}},
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
