"""What `flask check` finds odd about values that are well-formed, and about what nobody uses."""

import difflib
from collections.abc import Iterator
from contextlib import suppress

from msgspec.structs import asdict, fields

import providers
from helpdesk_numbers.settings import PATH, ConfigurationError, Settings

from .checks import Check, Finding, Subject

LARGEST_TEXT = 102 * 1024
"""Bytes of DIRECTORY_TOML from which on it comes near the 128 KiB that Linux lets a variable have:
https://man7.org/linux/man-pages/man2/execve.2.html (MAX_ARG_STRLEN)"""


def _odd_values(subject: Subject) -> Iterator[Finding]:
    with suppress(ConfigurationError):  # told of above
        values = asdict(subject.service.settings) | {"directory_toml": None}
        for name, remark in providers.base.remarks(values):
            yield Finding("settings", None, f"{name.upper()}: {remark}", "correct it")
    with suppress(ConfigurationError):
        for name, account in subject.service.directory.current().accounts.items():
            for option, remark in providers.base.remarks(asdict(account.options)):
                yield Finding(f"accounts.{name}.{option}", None, remark, "correct it")


def _misspelt(subject: Subject) -> Iterator[Finding]:
    ours = {field.name.upper() for field in fields(Settings)}
    for name in sorted(subject.service.environ.keys() - ours):
        if name.startswith("HUBSPOT_"):
            continue  # told of above
        if near := difflib.get_close_matches(name, ours, n=1, cutoff=0.88):
            yield Finding("settings", None, f"nothing reads {name} (did you mean {near[0]}?)")


def _public_url(subject: Subject) -> Iterator[Finding]:
    if PATH in subject.service.environ.get("PUBLIC_URL", ""):
        text = "PUBLIC_URL is the webhook's whole URL; what stands before its path is used"
        yield Finding("settings", None, text, "leave the path away")


def _unused(subject: Subject) -> Iterator[Finding]:
    environ = subject.service.environ
    given = [name for name in ("DIRECTORY", "DIRECTORY_TOML") if environ.get(name, "").strip()]
    if given and environ.get("PROVIDER", "").strip():
        text = f"PROVIDER is not used, because {given[0]} is set"
        yield Finding("settings", None, text, f"unset PROVIDER, or {given[0]}")
    size = len(environ.get("DIRECTORY_TOML", "").encode("utf-8", "replace"))
    if size > LARGEST_TEXT:
        text = f"DIRECTORY_TOML has {size >> 10} KiB, and a variable 128 KiB at most"
        yield Finding("directory", None, text, "move it into files: DIRECTORY may be a folder")
    with suppress(ConfigurationError):
        directory = subject.service.directory.current()
        used = {name for portal in directory.portals.values() for name in portal.accounts}
        for name in sorted(directory.accounts.keys() - used):
            yield Finding(
                f"accounts.{name}", None, "no portal names it, so nobody sees its numbers"
            )


VALUES: tuple[Check, ...] = (
    (_odd_values, ("odd values",)),
    (_misspelt, ("other variables",)),
    (_public_url, ("settings",)),
    (_unused, ("what is not used",)),
)
