"""What `flask check` finds in how the service is started, and what is installed beside it."""

from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import packages_distributions
from urllib.parse import urlsplit

from helpdesk_numbers.settings import ConfigurationError

from .checks import Check, Finding, Subject


def _script_name(subject: Subject) -> Iterator[Finding]:
    """gunicorn takes SCRIPT_NAME for the beginning of every path, and what it is told by PUBLIC_URL
    comes before that: https://github.com/benoitc/gunicorn/issues/2969"""
    prefix = subject.service.environ.get("SCRIPT_NAME", "").rstrip("/")
    if not prefix:
        return
    path = ""
    with suppress(ConfigurationError, ValueError):
        path = urlsplit(subject.service.settings.public_url or "").path.rstrip("/")
    if path.endswith(prefix):
        text = f"SCRIPT_NAME is {prefix}, and PUBLIC_URL ends in it too: it is signed for twice"
        yield Finding(
            "settings", False, text, f"take {prefix} out of PUBLIC_URL, or unset SCRIPT_NAME"
        )
    else:
        text = f"SCRIPT_NAME is {prefix}: every request that does not begin with it gets a 500"
        yield Finding("settings", None, text, "unset it, unless the proxy passes the prefix on")


def _other_hubspot(_: Subject) -> Iterator[Finding]:
    others = set(packages_distributions().get("hubspot", ())) - {"helpdesk-numbers"}
    for other in sorted(others):
        text = f"the package {other} has a module `hubspot` too, and may overwrite this service's"
        yield Finding("packages", None, text, f"give this service an environment without {other}")


PLATFORM: tuple[Check, ...] = ((_script_name, ("settings",)), (_other_hubspot, ("packages",)))
