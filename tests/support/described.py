"""The management API's answers, held against its own description."""

from flask import Response, request
from jsonschema import Draft202012Validator

from helpdesk_numbers.api.openapi import document
from helpdesk_numbers.api.operations import OPERATIONS
from helpdesk_numbers.api.routes import PREFIX


class Described:
    """What an app does after each request: `faults` are answers that the description lacks."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._document = document(OPERATIONS, PREFIX)

    def __call__(self, answer: Response) -> Response:
        """Return the answer as it is."""
        rule = request.url_rule.rule if request.url_rule else ""
        if rule.startswith(PREFIX) and not rule.endswith("/openapi.json"):
            path = rule.removeprefix(PREFIX).replace("path:", "")
            path = path.replace("<", "{").replace(">", "}")
            method = "get" if request.method == "HEAD" else request.method.lower()
            told = f"{request.method} {path} {answer.status_code}: "
            responses = self._document["paths"][path][method]["responses"]
            self.faults += (told + fault for fault in self._faults(answer, responses))
        return answer

    def _faults(self, answer: Response, responses: dict[str, dict[str, object]]) -> list[str]:
        described = responses.get(str(answer.status_code))
        if described is None:
            return [f"not among {sorted(responses)}"]
        faults = []
        if ("ETag" in answer.headers) != ("headers" in described):
            faults.append("an ETag, or none")
        content = described.get("content")
        if bool(content) != bool(answer.data):
            faults.append("a body, or none")
        elif isinstance(content, dict):
            schema = content["application/json"]["schema"]
            whole = {"components": self._document["components"], **schema}
            found = Draft202012Validator(whole).iter_errors(answer.get_json())
            faults += [f"{error.json_path}: {error.message}" for error in found]
        return faults
