"""What any service of this kind has to do, done as cheaply as Flask can: the signature checked, the
body read, one log line as JSON, the headers of the contract. No lookup, no diagnosis, no settings.

It is no baseline of a bar. It says how much of the distance to `bare` is the task's own.
"""

import base64
import hmac
import json
import os
import sys
import time
import uuid

from flask import Flask, Response, abort, request

from benchmarks.bare import NUMBERS

app = Flask(__name__)
secret = os.environ["LEAST_SECRET"].encode()


@app.post("/hubspot/phone-numbers")
def phone_numbers() -> Response:
    started = time.perf_counter()
    body = request.get_data()
    timestamp = request.headers.get("X-HubSpot-Request-Timestamp", "0")
    if abs(time.time() * 1000 - int(timestamp)) > 5 * 60 * 1000:
        abort(401)
    source = f"POST{request.scheme}://{request.host}{request.environ['RAW_URI']}".encode()
    digest = hmac.digest(secret, source + body + timestamp.encode(), "sha256")
    given = request.headers.get("X-HubSpot-Signature-v3", "")
    if not hmac.compare_digest(base64.b64encode(digest).decode(), given):
        abort(401)
    asked = json.loads(body)
    answer = json.dumps({"phoneNumbers": NUMBERS})
    correlation_id = str(uuid.uuid4())
    line = {
        "event": "request",
        "correlation_id": correlation_id,
        "portal_id": asked["portalId"],
        "user_id": asked["userId"],
        "ms": (time.perf_counter() - started) * 1000,
    }
    sys.stderr.write(json.dumps(line) + "\n")
    headers = {
        "X-Correlation-Id": correlation_id,
        "Cache-Control": "no-store",
        "Numbers-Source": "live",
    }
    return Response(answer, headers=headers, content_type="application/json")
