"""Errors in HubSpot's own shape, which all that is answered here have."""

from collections.abc import Sequence
from typing import Any

from flask import Response, jsonify, request

from . import logs


def error(
    status: int, category: str, message: str, errors: Sequence[dict[str, str]] = ()
) -> Response:
    """Return the answer; `errors` are what is wrong one by one."""
    body: dict[str, Any] = {
        "status": "error",
        "message": message,
        "correlationId": logs.log_fields(request.environ)["correlation_id"],
        "category": category,
    }
    answer = jsonify(body | ({"errors": [*errors]} if errors else {}))
    answer.status_code = status
    return answer
