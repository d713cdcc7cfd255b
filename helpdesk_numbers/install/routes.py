"""The routes of the install: to HubSpot, and back, in each of the shapes that HubSpot has for it.

https://developers.hubspot.com/docs/apps/developer-platform/list-apps/understand-app-install-flow
(read November 2026)
"""

import base64
import hashlib
import time
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request
from sqlalchemy.exc import SQLAlchemyError

from helpdesk_numbers import logs
from helpdesk_numbers.database.opening import why
from helpdesk_numbers.service import Service
from helpdesk_numbers.webhook import Budget
from hubspot.errors import CodeRefused, HubSpotRefused, LookupFailed

from .app import CALLBACK, INSTALL, WrongInstall
from .return_url import is_hubspots, with_state
from .states import LIFE_S, StateRefused, check_state, new_state

COOKIE, FRAMED = "__Host-helpdesk-numbers-install", "__Host-helpdesk-numbers-framed"
"""The same cookie twice. The second is for HubSpot's frame, where browsers keep only what belongs
to the page around it: https://github.com/privacycg/CHIPS
"""

PER_S = 20.0
"""How many codes are tried each second, by each worker: anybody may send one."""

_STYLE = (Path(__file__).parent / "templates" / "install.css").read_text("utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    # HubSpot loads the Marketplace's installs in a frame, in whichever data centre.
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{_DIGEST}'; frame-ancestors https://*.hubspot.com",
    "Referrer-Policy": "no-referrer",  # the URL has a code
    "X-Content-Type-Options": "nosniff",
}

PAGES = {
    "refused": (
        "The app was not installed",
        "HubSpot says that the install was refused. Nothing was changed. To install the app after"
        " all, begin again, as a Super Admin of the portal or somebody with Marketplace access.",
    ),
    "no code": (
        "There is nothing to install here",
        "This page is where HubSpot sends you after an install, and it did not. Begin the install"
        " from the start.",
    ),
    "state": (
        "This install cannot go on",
        "It was not begun in this browser, was begun more than ten minutes ago, or went through"
        " before. Begin again, in one window, and allow cookies of this site.",
    ),
    "return": (
        "This link is not HubSpot's",
        "It leads to a page that is not in HubSpot, so we do not follow it. Begin the install from"
        " the app's page in HubSpot's Marketplace.",
    ),
    "code": (
        "HubSpot does not know this install any more",
        "The link was used before, or is too old: it is good once, for a short time. If the app is"
        " in the portal's list of connected apps, all is well. Else begin again.",
    ),
    "wrong": (
        "The app is not set up right",
        "HubSpot did not install what this service needs. Whoever runs it finds the reason in its"
        " log; begin again once they have put it right.",
    ),
    "app": (
        "HubSpot refuses this service",
        "That is nothing you did: whoever runs it finds the reason in its log. Begin again once"
        " they have put it right.",
    ),
    "later": (
        "That did not work just now",
        "HubSpot or our database did not answer. Wait a minute, and begin again.",
    ),
    "many": ("Too many at once", "Wait a few seconds, and begin again."),
}
"""Each page that says why an install did not work: its title, and what to do."""


class _Refused(Exception):
    """An install does not go on: the page that says so, and the reason for the log."""

    def __init__(self, status: int, page: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.page = status, page


def blueprint(service: Service) -> Blueprint:
    """Return the routes of the install."""
    routes = Blueprint("install", __name__, template_folder="templates")
    budget, app = Budget(PER_S), service.app

    def sent_with_cookie(to: str, cookie: str) -> Response:
        answer = make_response(redirect(to))
        for name in (COOKIE, FRAMED):
            answer.set_cookie(name, cookie, max_age=int(LIFE_S), **_kind(name))
        return answer

    @routes.get(INSTALL)
    def install() -> Response:
        state, cookie = new_state(app.database, app.clock())
        return sent_with_cookie(app.authorize_url(state), cookie)

    @routes.get(CALLBACK)
    def callback() -> Response:
        fields = logs.log_fields(request.environ)
        given = request.args.to_dict(flat=False)
        said = {name: values[0] for name, values in given.items() if len(values) == 1}
        if twice := given.keys() - said.keys():
            names = {"code", "state", "returnUrl", "step", "error"} & twice
            if names:
                raise _Refused(400, "state", f"{min(names)} is there more than once")
        if "error" in said:
            raise _Refused(400, "refused", "refused at HubSpot")
        to, state, code = said.get("returnUrl"), said.get("state"), said.get("code")
        if to is not None and not is_hubspots(to):
            raise _Refused(400, "return", "returnUrl is not HubSpot's")
        if said.get("step") == "authorize" and to:
            fields["install"] = "sign-in"
            state, cookie = new_state(app.database, app.clock())
            return sent_with_cookie(with_state(to, state), cookie)
        if not code:
            raise _Refused(400, "no code", "there is no code")
        # The Marketplace's own installs have no state, unless they went through a sign-in.
        if state is not None:
            sent = [request.cookies[name] for name in (COOKIE, FRAMED) if name in request.cookies]
            check_state(state, sent, app.database, app.clock())
        elif to is None or said.get("step"):
            raise _Refused(400, "state", "there is no state")
        if not budget.take(time.monotonic()):
            raise _Refused(429, "many", "too many codes at a time")
        installed = app.install(code)
        service.database_directory.forget(installed.portal_id)
        fields.update(install="installed", portal_id=installed.portal_id)
        if to is not None:
            answer = make_response(redirect(to))
        else:
            answer = make_response(
                render_template("installed.html", style=_STYLE, installed=installed)
            )
        for name in (COOKIE, FRAMED):
            answer.delete_cookie(name, **_kind(name))
        return answer

    @routes.after_request
    def harden(answer: Response) -> Response:
        answer.headers.update(HEADERS)
        return answer

    _add_errors(routes)
    return routes


def _kind(name: str) -> dict[str, Any]:
    return {
        "secure": True,
        "httponly": True,
        "samesite": "None",
        "partitioned": name == FRAMED,
    }


def _add_errors(routes: Blueprint) -> None:
    def page(error: _Refused) -> Response:
        fields = logs.log_fields(request.environ)
        fields.update(install="failed", reason=str(error))
        title, text = PAGES[error.page]
        rendered = render_template("refused.html", style=_STYLE, title=title, text=text)
        answer = make_response(rendered, error.status)
        if error.status in (429, 503):
            answer.headers["Retry-After"] = "60" if error.status == 503 else "5"
        return answer

    routes.register_error_handler(_Refused, page)

    @routes.errorhandler(StateRefused)
    def state(error: StateRefused) -> Response:
        return page(_Refused(400, "state", str(error)))

    @routes.errorhandler(WrongInstall)
    def wrong(error: WrongInstall) -> Response:
        return page(_Refused(502, "wrong", str(error)))

    @routes.errorhandler(LookupFailed)
    def hubspot(error: LookupFailed) -> Response:
        if isinstance(error, CodeRefused):
            return page(_Refused(400, "code", str(error)))
        if isinstance(error, HubSpotRefused):
            return page(_Refused(502, "app", f"{error}: {error.remedy}"))
        return page(_Refused(503, "later", str(error)))

    @routes.errorhandler(SQLAlchemyError)
    def away(error: SQLAlchemyError) -> Response:
        return page(_Refused(503, "later", why(error)))
