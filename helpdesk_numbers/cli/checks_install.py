"""What `flask check` finds about the app's install: does HubSpot take the app?"""

from collections.abc import Iterator

from hubspot.errors import HubSpotRefused, LookupFailed
from providers.base.provider import Deadline

from .checks import Check, Finding, Subject

NAME = "install"


def _install(subject: Subject) -> Iterator[Finding]:
    service = subject.service
    if not service.settings.hubspot_client_id:
        return
    subject.need_network()
    app = service.app
    try:
        app.oauth.introspect(app.post_by(Deadline(10)), "of-nobody")
    except HubSpotRefused as error:
        yield Finding(NAME, False, str(error), error.remedy)
        return
    except LookupFailed as error:
        yield Finding(NAME, False, str(error), "try again; https://status.hubspot.com")
        return
    scopes = service.settings.hubspot_scopes
    text = f"HubSpot takes the app; its file needs the redirect URL {app.redirect_uri} and {scopes}"
    yield Finding(NAME, True, text)
    if refused := app.installs.refused():
        remedy = "it was so with the running service: restart it with the settings of this desk"
        yield Finding(NAME, False, f"portals' tokens are not refreshed: {refused}", remedy)


INSTALL: tuple[Check, ...] = ((_install, (NAME,)),)
