"""`flask check`: how the checks are run, and how their findings are printed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import chain

import click

from helpdesk_numbers.service import Service, current_service
from helpdesk_numbers.settings import ConfigurationError

from . import checks, checks_outside
from .checks import Check, Finding, LeftOut, Subject
from .output import Command, as_json, emit, example, wants_json, with_remedy


@click.command(cls=Command, epilog=example("check --offline"))
@click.option(
    "--offline", is_flag=True, help="Ask nobody outside: check the settings and directory alone."
)
@as_json
def check(offline: bool) -> None:
    """Check everything that can be wrong, and say what to do about it.

    It checks the settings, variables that look like settings but are not, the directory, each
    account's credentials (by listing its numbers), rules that match no number, the clock,
    PUBLIC_URL and the service that answers there, and the registration with HubSpot. Exits with 1
    if anything is wrong.
    """
    findings = []
    for finding in find(current_service(), offline):
        findings.append(finding)
        if not wants_json():
            click.echo(_line(finding))
    wrong = sum(finding.ok is False for finding in findings)
    left_out = sum(finding.ok is None for finding in findings)
    end = f", {left_out} left out." if left_out else "."
    emit([finding._asdict() for finding in findings], [f"\n{wrong or 'Nothing'} wrong{end}"])
    if wrong:
        raise click.exceptions.Exit(1)


def _line(finding: Finding) -> str:
    mark, colour = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}[finding.ok]
    line = f"{click.style(mark, colour)} {finding.check}: {finding.text}"
    return with_remedy(line, finding.remedy)


def find(service: Service, offline: bool) -> Iterator[Finding]:
    """Yield all findings as they come in. A check that fails does not keep others from theirs."""
    run = partial(_run, Subject(service, offline, {}))
    yield from chain.from_iterable(map(run, checks.INSIDE))
    with suppress(ConfigurationError), ThreadPoolExecutor(8) as threads:  # told of above
        accounts = checks.account_checks(service.directory.current())
        yield from chain.from_iterable(threads.map(lambda row: [*run(row)], accounts))
        yield from run((checks.compare_rules, ("rules",)))
    try:
        service.settings  # noqa: B018 - read to see whether it can be
    except ConfigurationError:
        yield Finding("everything else", None, checks.SETTINGS_FIRST)
    else:
        yield from chain.from_iterable(map(run, checks_outside.OUTSIDE))


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
