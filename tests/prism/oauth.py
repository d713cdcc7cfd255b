"""The client for OAuth and the uninstall against mocks of HubSpot's own descriptions.

OAuth's of 2026-09 says nothing of answers, so that 2026-03's serves, as where HubSpot has no newer;
it has examples in place of `null`, and an answer to a revocation, of which it had none.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import requests

from helpdesk_numbers.users.asking import poster
from hubspot.errors import LookupFailed
from hubspot.oauth import Client, OAuth, Post
from hubspot.uninstall import uninstall
from providers.base.provider import Deadline

OF_OAUTH, OF_UNINSTALLS = (
    ("hubspot-oauth-2026-03",),
    ("hubspot-uninstalls-2026-09", "hubspot-uninstalls-2026-03"),
)
DESCRIPTIONS = OF_OAUTH + OF_UNINSTALLS
APP = OAuth(Client("a-client-id", ("a-client-secret",)))
QUESTIONS: Mapping[str, tuple[Callable[[Post], object], object]] = {
    "a code": (lambda post: APP.exchange(post, "x", "https://x.example/").hub_id, 62515),
    "a refresh": (lambda post: APP.refresh(post, "x").access_token, "an-access-token"),
    "the app's own token": (lambda post: APP.app_token(post, ["x"]).expires_in, 1800),
    "an introspection": (lambda post: APP.introspect(post, "x").hub_id, 62515),
    "a revocation": (lambda post: APP.revoke(post, "x"), None),
}


def rows(name: str, url: str, log: Path) -> list[list[str]]:
    """What came of each question to the mock of a description."""
    questions = QUESTIONS if name in OF_OAUTH else {"an uninstall": (lambda _: None, None)}
    found = []
    for question, (ask, expected) in questions.items():
        try:
            if name in OF_UNINSTALLS:
                uninstall(url, "a-token-of-tests")
            answer = ask(poster(url)(Deadline(30)))
        except LookupFailed as error:
            answer = error
        found.append([name, question, "", "ok" if answer == expected else repr(answer)])
    seen = "none" if "iolation" not in log.read_text() else log.read_text()
    found.append([name, "violations reported", "", "ok" if seen == "none" else seen])
    found.append([name, "(wrong on purpose)", "", _wrong(name, url, log)])
    return found


def _wrong(name: str, url: str, log: Path) -> str:
    """Whether a wrong request is refused: a grant that is none; an uninstall without a token."""
    version = name[-7:]
    if name in OF_OAUTH:
        form = {"grant_type": "none"}
        answer = requests.post(f"{url}/oauth/{version}/token", data=form, timeout=10)
        return "ok" if not answer.ok and "iolation" in log.read_text() else answer.text
    path, accept = f"/appinstalls/{version}/external-install", {"Accept": "application/json"}
    answer = requests.delete(url + path, headers=accept, timeout=10)
    return "ok" if not answer.ok else answer.text  # Prism has no words for its 401
