"""`flask check`: everything that can be wrong, in the order in which to put it right."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import chain

import click

from helpdesk_numbers.service import Service, current_service
from helpdesk_numbers.settings import ConfigurationError

from . import (
    checks,
    checks_install,
    checks_outside,
    checks_platform,
    checks_running,
    checks_values,
    progress,
)
from .checks import Check, Finding, LeftOut, Subject
from .checks_users import user_checks
from .options import portal
from .output import Command, as_json, count, emit, example, style, wants_json, with_remedy

AT_ONCE = 16
"""Accounts that are asked side by side."""

MANY = 20
"""From so many accounts on, those that answer are counted in one line."""


@click.command(cls=Command, epilog=example("check --offline"))
@click.option(
    "--offline", is_flag=True, help="Ask nobody outside: check the settings and directory alone."
)
@portal
@click.option("--quiet", "-q", is_flag=True, help="Show only what is wrong, and warnings.")
@as_json
def check(offline: bool, portal_id: int | None, quiet: bool) -> None:
    """Check everything that can be wrong, and say what to do about it.

    It checks the settings, variables that look like settings but are not, values that look odd, the
    directory, each account's credentials (by listing its numbers), rules that match no number, the
    clock, PUBLIC_URL and the service that answers there, and the registration with HubSpot. With
    --portal-id, of the directory that portal's part alone. Exits with 1 if anything is wrong.
    """
    findings: list[Finding] = []
    folded = Counter[str]()
    with progress.line() as show:
        for finding in find(current_service(), offline, portal_id, show):
            findings.append(finding)
            if finding.ok and (quiet or finding.folds):
                folded[finding.folds] += 1
            elif not (wants_json() or (quiet and finding.left_out)):
                show("")
                click.echo(_line(finding))
    wrong = sum(finding.ok is False for finding in findings)
    left_out = sum(finding.left_out for finding in findings)
    warnings = sum(finding.ok is None for finding in findings) - left_out
    rest = [
        *([count(warnings, "warning")] if warnings else []),
        *([f"{left_out} left out"] if left_out else []),
    ]
    lines = [f"{style('✓', 'green')} {number:,} {what}" for what, number in folded.items() if what]
    if wrong or not quiet:
        lines.append("\n" + ", ".join([f"{wrong or 'Nothing'} wrong", *rest]) + ".")
    emit([finding.data() for finding in findings], [] if quiet and not wrong else lines)
    if wrong:
        raise click.exceptions.Exit(1)


_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}


def _line(finding: Finding) -> str:
    mark, colour = _MARKS[finding.ok]
    return with_remedy(f"{style(mark, colour)} {finding.check}: {finding.text}", finding.remedy)


def find(
    service: Service,
    offline: bool,
    portal_id: int | None = None,
    show: "progress.Show" = lambda _: None,
) -> Iterator[Finding]:
    """Yield all findings as they come in. A check that fails does not keep others from theirs."""
    subject = Subject(service, offline, {}, portal_id)
    run = partial(_run, subject)
    yield from chain.from_iterable(
        map(run, (*checks.INSIDE, *checks_values.VALUES, *checks_platform.PLATFORM))
    )
    with suppress(ConfigurationError):  # told of above
        directory = subject.directory()
        if portal_id is not None and portal_id not in directory.portals:
            raise click.UsageError(f"portal {portal_id} is not in the directory")
        accounts = checks.account_checks(directory, portal_id)
        so_far = partial(_so_far, show, len(accounts))
        for found in progress.each(lambda row: [*run(row)], accounts, AT_ONCE, so_far):
            for finding in found:
                yield _folding(finding, len(accounts), "accounts answer")
        yield from run((checks.compare_rules, ("rules",)))
        portals = user_checks(directory, portal_id)
        for found in progress.each(lambda row: [*run(row)], portals, AT_ONCE, lambda _: None):
            for finding in found:
                yield _folding(finding, len(portals), "portals' tokens are good")
    try:
        service.settings  # noqa: B018 - read to see whether it can be
    except ConfigurationError:
        yield Finding("everything else", None, checks.SETTINGS_FIRST)
    else:
        outside = (
            *checks_outside.OUTSIDE,
            *checks_install.INSTALL,
            *checks_running.RUNNING,
        )
        yield from chain.from_iterable(map(run, outside))


def _folding(finding: Finding, of: int, what: str) -> Finding:
    return finding._replace(folds=what if of >= MANY and finding.ok else "")


def _so_far(show: "progress.Show", total: int, done: int) -> None:
    show(f"{done:,} of {count(total, 'account')} asked")


def _run(subject: Subject, check: Check) -> Iterator[Finding]:
    part, names = check
    try:
        for finding in part(subject):
            yield finding._replace(remedy="") if finding.ok else finding
    except LeftOut as reason:
        for name in names:
            yield Finding(name, None, f"left out: {reason}")
    except Exception as error:  # whatever answers, and third parties' adapters: report the rest
        text = f"the check itself failed ({type(error).__name__})"
        yield Finding(names[0], False, text, "report it, and how to reproduce it")
