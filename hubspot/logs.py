"""Logs: one event a line on standard error, as JSON or for people."""

import logging
import logging.config
import re
from functools import lru_cache
from typing import Any

from pythonjsonlogger.msgspec import MsgspecFormatter

# A number that slipped into a log through another's words (an odd path, a library's message).
_PHONE_NUMBER = re.compile(r"(?:\+|%2B)\d{7,15}", re.IGNORECASE)

_DIGITS = re.compile(r"(?:\d(?:[ ().+-]|%2[0-9A-F])*){7,}", re.IGNORECASE)


@lru_cache(maxsize=64)
def without_numbers(url: str) -> str:
    """A URL or path as it may be logged: whatever could be a phone number is left out.

    Its host stays as it is, since that is what a refused signature is mostly about.
    """
    base = re.match(r"(?:\w+://[^/?#]*)?", url)
    start = base.end() if base else 0
    return url[:start] + _DIGITS.sub("…", url[start:])


class JSONFormatter(MsgspecFormatter):
    """`{"time": …, "level": …, "event": …}` and the event's own fields."""

    def __init__(self) -> None:
        super().__init__(
            "%(levelname)s %(message)s",
            rename_fields={"levelname": "level", "message": "event"},
            timestamp="time",
        )

    def format(self, record: logging.LogRecord) -> str:
        return _PHONE_NUMBER.sub("+…", super().format(record))


_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """`12:00:00 INFO request status=200 …`, for people."""

    default_time_format = "%H:%M:%S"
    default_msec_format = ""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's spelling
        fields = (f"{k}={_shown(v)}" for k, v in vars(record).items() if k not in _OWN)
        return _PHONE_NUMBER.sub("+…", " ".join([super().formatMessage(record), *fields]))


def _shown(value: object) -> str:
    """The value, quoted where it would not read as one word of one line."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(value)


def config(log_format: str, log_level: str) -> dict[str, Any]:
    """The configuration of `logging`, for the service and for gunicorn alike.

    gunicorn's access log stays off, whatever the platform's GUNICORN_CMD_ARGS say: the service
    writes one line a request itself, with no client's address in it.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JSONFormatter}, "text": {"()": TextFormatter}},
        "handlers": {"out": {"class": "logging.StreamHandler", "formatter": log_format}},
        "root": {"level": "WARNING", "handlers": ["out"]},
        "loggers": {
            "helpdesk_numbers": {"level": log_level.upper()},
            "providers": {"level": log_level.upper()},
            "urllib3": {"level": "ERROR"},  # its warnings show URLs
            "gunicorn.error": {"level": "INFO", "handlers": ["out"], "propagate": False},
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
        },
    }


def set_up(log_format: str, log_level: str) -> None:
    """Configure `logging` for this process."""
    logging.config.dictConfig(config(log_format, log_level))
