"""The service: settings, directory, lookup, routes, commands, error table. Wiring only."""

import math
import os
import sys
import traceback
from collections.abc import Mapping

import click
from flask import Flask, Response, jsonify, request
from flask.cli import FlaskGroup
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from helpdesk_numbers import answers, cli, explain, logs
from helpdesk_numbers.directory.model import DirectoryRefused, DirectoryUnavailable
from helpdesk_numbers.service import Service, service_of_process
from helpdesk_numbers.webhook import HIDDEN, MAX_BODY_BYTES, PATH, KeyedWebhook, blueprint
from hubspot.errors import (
    AppMismatch,
    HubSpotRefused,
    InvalidRequest,
    InvalidSignature,
    LookupFailed,
    NotChannelConnection,
)
from providers.base.errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable

ANSWERS: dict[type[Exception], tuple[int, str, str | None]] = {
    InvalidRequest: (400, "VALIDATION_ERROR", None),
    InvalidSignature: (401, "INVALID_AUTHENTICATION", None),
    AppMismatch: (403, "APP_MISMATCH", None),
    NotChannelConnection: (403, "NOT_CHANNEL_CONNECTION", None),
    DirectoryRefused: (503, "DIRECTORY_REFUSED", None),
    DirectoryUnavailable: (503, "DIRECTORY_UNAVAILABLE", None),
    LookupFailed: (503, "HUBSPOT_UNAVAILABLE", "HubSpot cannot say now who the user is."),
    HubSpotRefused: (502, "HUBSPOT_REFUSED", "HubSpot refused to say who the user is."),
    ProviderError: (502, "PROVIDER_ERROR", "The phone provider failed."),
    Refused: (502, "PROVIDER_ERROR", "The phone provider refused the request."),
    Unreadable: (502, "PROVIDER_ERROR", "The phone provider's answer cannot be read."),
    Unreachable: (503, "PROVIDER_UNAVAILABLE", "The phone provider cannot be reached now."),
    RateLimited: (503, "PROVIDER_UNAVAILABLE", "The phone provider asks us to wait."),
}
"""What each error is answered with: status, category and message (None: the error's own)."""

MESSAGES = {
    404: f"There is nothing here. The webhook is at {PATH}.",
    405: f"This path does not take that method: {PATH} takes POST, /healthz and /readyz take GET.",
    413: f"The body has more than {MAX_BODY_BYTES >> 10} KiB.",
}
"""What to say in place of Werkzeug's own words, which are meant for somebody at a browser."""

QUIET = ("/healthz", "/readyz")
"""Paths whose requests are not logged: platforms ask every few seconds."""

RETRY_AFTER_S = 5
"""When to try again, where the provider does not say."""


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """Return the WSGI application, by `environ` or else the process's own environment.

    Raises:
        ConfigurationError: settings or directory are not usable; it lists every fault.
    """
    app = Flask(__name__, static_folder=None)
    service = service_of_process() if environ is None else Service(environ)
    app.extensions["helpdesk_numbers"] = service
    app.json.sort_keys = False  # type: ignore[attr-defined] # Flask's default provider has it
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # else anybody gets a 200 at the webhook
    app.url_map.merge_slashes = False  # else a doubled slash is answered with a redirect
    app.register_blueprint(blueprint(service))
    app.register_blueprint(explain.blueprint(service))
    _add_health_checks(app, service)
    _add_errors(app, service)
    cli.register(app)
    if not _command_is_looked_up():
        service.lookup  # noqa: B018 - raises unless all that serving needs is good
        if (
            "gunicorn.arbiter" in sys.modules
            and "helpdesk_numbers.gunicorn_conf" not in sys.modules
        ):
            logs.log.warning(
                "gunicorn runs without this service's configuration: start it by"
                " `helpdesk-numbers serve`, or with --config python:helpdesk_numbers.gunicorn_conf"
            )
        settings = service.settings
        if settings.admin_tokens:
            from helpdesk_numbers.api import routes

            app.register_blueprint(routes.blueprint(service))
        if settings.hubspot_client_id:
            from helpdesk_numbers.install.routes import blueprint as install

            app.register_blueprint(install(service))
        logs.set_up(settings.log_format, settings.log_level)
        if settings.hubspot_webhook_key:
            keyed = KeyedWebhook(app.wsgi_app, settings)
            app.wsgi_app = keyed  # type: ignore[method-assign] # as below
    logged = logs.RequestLog(app.wsgi_app, QUIET)
    app.wsgi_app = logged  # type: ignore[method-assign] # as Flask's documentation has it
    return app


def _command_is_looked_up() -> bool:
    """Whether this app is made for a command, which reads for itself what it needs of the settings:
    `flask check` has to start whatever is wrong with them. `flask run` serves, and is none."""
    if {"_FLASK_COMPLETE", "_HELPDESK_NUMBERS_COMPLETE"} & os.environ.keys():
        return True  # a shell asks what there is
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)


def _add_health_checks(app: Flask, service: Service) -> None:
    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @app.get("/readyz")
    def readyz() -> Response:
        service.directory.current()
        if faults := service.directory.refused:
            return answers.error(
                503,
                "DIRECTORY_REFUSED",
                f"The directory file has {faults} fault(s), so the one before it stays in force."
                " The log line directory_refused names them.",
            )
        if service.settings.hubspot_client_id and service.app.installs.refused():
            return answers.error(
                503,
                "APP_REFUSED",
                "HubSpot refuses the app, so portals' tokens are not refreshed."
                " The log line app_refused says why.",
            )
        return jsonify(status="ok")


def _add_errors(app: Flask, service: Service) -> None:
    def known(error: Exception) -> Response:
        kind = next(kind for kind in type(error).__mro__ if kind in ANSWERS)
        status, category, message = ANSWERS[kind]
        if isinstance(error, LookupFailed):
            logs.log_fields(request.environ).update(who="unknown", reason=str(error))
        elif message is None and not isinstance(error, InvalidSignature):
            logs.log_fields(request.environ).setdefault("reason", str(error))
        answer = answers.error(status, category, message or str(error))
        if status == 503:
            wait_s = getattr(error, "retry_after_s", None) or RETRY_AFTER_S
            answer.headers["Retry-After"] = str(math.ceil(wait_s))
        return answer

    for kind in ANSWERS:
        app.register_error_handler(kind, known)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        message = MESSAGES.get(status) or error.description or error.name
        if isinstance(error, MethodNotAllowed) and request.path.startswith("/api/"):
            message = f"This path takes {', '.join(error.valid_methods or ())}."
        if status == 404 and request.path.startswith("/api/") and service.settings.admin_tokens:
            message = "There is nothing here. GET /api/v1/openapi.json describes what there is."
        if service.settings.hubspot_webhook_key:
            message = message.replace(PATH, f"{PATH}/{HIDDEN}")
        logs.log_fields(request.environ)["reason"] = message
        answer = answers.error(status, error.name.upper().replace(" ", "_"), message)
        for name, value in error.get_headers(request.environ):
            if name not in ("Content-Type", "Content-Length"):
                answer.headers[name] = value  # Allow, above all
        return answer

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        # Without the exception's own text, which may hold anything.
        frames = traceback.extract_tb(error.__traceback__)
        logs.log_fields(request.environ).update(
            error=type(error).__name__,
            frames=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]],
        )
        return answers.error(500, "INTERNAL_ERROR", "Something went wrong here; the log has more.")
