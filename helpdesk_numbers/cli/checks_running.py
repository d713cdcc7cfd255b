"""What `flask check` finds where the running service has something else in force than this desk."""

from collections.abc import Iterator
from contextlib import suppress

from helpdesk_numbers.explain import in_force
from helpdesk_numbers.settings import ConfigurationError

from . import running
from .checks import Check, Finding, Subject
from .output import count
from .webhook_url import malformed, webhook_url

NAME = "running service"


def _compare(subject: Subject) -> Iterator[Finding]:
    """A user whom no directory knows is asked about, so that no carrier is."""
    service = subject.service
    if subject.offline or not service.settings.hubspot_client_secret:
        return
    url = webhook_url(service.settings)
    if url is None or malformed(url, service.settings):
        return  # told of above
    try:
        theirs = running.ask(url, url, service.settings, 1, 1)["directory"]
    except (running.NoExplanation, KeyError, TypeError):
        return  # as above: the signed request says what is wrong
    for fault in theirs["faults"]:
        remedy = "correct it there: until then, the directory before this edit stays in force"
        yield Finding(NAME, False, f"it has refused the last edit: {fault}", remedy)
    with suppress(ConfigurationError):
        ours = in_force(service.directory)
        sizes = [
            f"{count(have['accounts'], 'account')} and {count(have['portals'], 'portal')}"
            for have in (theirs, ours)
        ]
        if sizes[0] != sizes[1]:
            text = f"it has {sizes[0]} in force, this desk {sizes[1]}"
            yield Finding(NAME, False, text, "deploy the same directory and variables there")


RUNNING: tuple[Check, ...] = ((_compare, (NAME,)),)
