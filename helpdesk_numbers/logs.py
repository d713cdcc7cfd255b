"""Logs: one event a line on standard error, as JSON or for people; `log_lines.py` writes them."""

import logging
import logging.config
import os
import re
from collections.abc import Container, Iterable
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

from .log_lines import OUTPUT, JSONFormatter, TextFormatter

log = logging.getLogger("helpdesk_numbers")

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
    """Return the fields of the request's line so far, to be added to."""
    fields: dict[str, Any] = environ[_FIELDS]
    return fields


def _without_text(record: logging.LogRecord) -> bool:
    """gunicorn quotes what it cannot read and where it came from; that may be anything."""
    if str(record.msg).startswith("Invalid request from"):
        record.msg = "Invalid request"
    elif str(record.msg).startswith("Error handling request"):
        kind = record.exc_info[0] if record.exc_info else None
        record.msg, record.args, record.exc_info = "Error handling request", (), None
        record.error = kind.__name__ if kind else None
    return True


def config(log_format: str, log_level: str) -> dict[str, Any]:
    """Return the configuration of `logging`, for the service and for gunicorn alike.

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
