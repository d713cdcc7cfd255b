"""Processor time of a live request, in microseconds: run by processor.py in several checkouts.

    python -P benchmarks/in_process.py CARRIER COUNT

With a COUNT of 0, it is the milliseconds that the app takes to start. Every request is signed and
asks the carrier, once. It goes to the app as a server would hand it over; what counts is the time
of all threads of this process. Only what all checkouts have is imported.
"""

import io
import json
import sys
import time
from typing import Any

from werkzeug.test import run_wsgi_app

from app import create_app
from hubspot.signature import signed_headers

PATH = "/hubspot/phone-numbers"
HOST = "numbers.example.com"
SECRET = "a-secret-of-benchmarks"
WARM_UP = 100

app = create_app(
    {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "HUBSPOT_PORTAL_IDS": "62515",
        "PROVIDER": "twilio",
        "TWILIO_ACCOUNT_SID": "AC" + "1" * 32,
        "TWILIO_AUTH_TOKEN": "a-token-of-benchmarks",
        "TWILIO_BASE_URL": sys.argv[1],
    }
)


started_ms = time.process_time() * 1e3


def environ() -> dict[str, Any]:
    """A signed request, as gunicorn hands it over."""
    body = json.dumps({"appId": 54321, "portalId": 62515, "userId": 1001}).encode()
    now_ms = time.time_ns() // 1_000_000
    headers = signed_headers("v3", SECRET, "POST", f"http://{HOST}{PATH}", body, now_ms)
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": PATH,
        "QUERY_STRING": "",
        "RAW_URI": PATH,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": HOST,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }


def request(wsgi_environ: dict[str, Any]) -> None:
    """Send it, and see that the answer has numbers."""
    parts, status, _ = run_wsgi_app(app, wsgi_environ)
    body = b"".join(parts)
    if not status.startswith("200") or b"+1" not in body:
        raise RuntimeError(f"answered {status}: {body!r}")


def main(count: int) -> float:
    """Microseconds of processor time for each of so many requests."""
    for _ in range(WARM_UP):
        request(environ())
    environs = [environ() for _ in range(count)]
    before = time.process_time()
    for wsgi_environ in environs:
        request(wsgi_environ)
    return (time.process_time() - before) / count * 1e6


print(main(int(sys.argv[2])) if int(sys.argv[2]) else started_ms)
