"""What any provider has to do, as tests: for those that ask nobody, this is all."""

import fnmatch
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any, ClassVar

import pytest
from msgspec.structs import fields

from ..base.numbers import to_e164
from ..base.options import Problems, build, is_secret
from ..base.provider import PhoneNumber, Provider, Query


class LocalContract:
    """For a provider that asks nobody, such as one that reads its numbers from a file."""

    provider: ClassVar[type[Provider]]

    options: ClassVar[Mapping[str, Any]]
    """Options that make an account, with invented secrets of eight characters or more."""

    expected: ClassVar[Sequence[PhoneNumber]]
    """What those options, or the documented reply, give."""

    def settings(self) -> dict[str, Any]:
        return dict(self.options)

    def account(self, **changes: Any) -> Provider:
        """An account of `options` and `changes`, as the directory makes one."""
        problems = Problems()
        options = build(self.provider.Options, self.settings() | changes, problems)
        assert options is not None, problems.lines
        return self.provider(options, "the-account")

    def secrets(self) -> set[str]:
        """Texts that must not show anywhere."""
        given = {str(self.options.get(name) or "") for name in self.secret_options()}
        return given - {""}

    def secret_options(self) -> set[str]:
        return {field.name for field in fields(self.provider.Options) if is_secret(field)}

    @pytest.fixture(autouse=True)
    def silence(
        self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> Iterator[None]:
        """No test of the contract lets a secret into a log or onto the terminal."""
        caplog.set_level(logging.DEBUG)
        log = StringIO()
        handler = logging.StreamHandler(log)  # caplog's own forgets the test in its teardown
        logging.getLogger().addHandler(handler)
        yield
        logging.getLogger().removeHandler(handler)
        shown = log.getvalue() + "".join(capfd.readouterr())
        assert not [secret for secret in self.secrets() if secret in shown], "a secret was logged"

    def test_numbers_are_read_as_documented(self) -> None:
        assert self.account().ask(Query()) == list(self.expected)

    def test_each_missing_option_is_named(self) -> None:
        for field in fields(self.provider.Options):
            if field.required:
                given = {k: v for k, v in self.settings().items() if k != field.name}
                problems = Problems()
                assert build(self.provider.Options, given, problems) is None
                assert [line for line in problems.lines if line.startswith(field.name)]

    def test_an_unknown_option_is_named(self) -> None:
        problems = Problems()
        assert not build(self.provider.Options, self.settings() | {"colour": "red"}, problems)
        assert [line for line in problems.lines if line.startswith("colour")]

    def test_secrets_do_not_show_in_an_account(self) -> None:
        account = self.account()
        shown = repr(account) + str(account) + repr(account.options) + str(account.options)
        assert not [secret for secret in self.secrets() if secret in shown]

    def test_a_rule_gives_what_it_gives_on_the_whole_list(self) -> None:
        everything = self.account().ask(Query())
        assert everything
        for numbers, names, owner in rules(everything):
            found = self.account().ask(Query(numbers, names, owner))
            wanted = by_rule(everything, numbers, names, owner)
            assert by_rule(found, numbers, names, owner) == wanted, (numbers, names, owner)

    def test_threads_share_an_account(self) -> None:
        account = self.account()
        wanted = self.account().ask(Query())
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda _: account.ask(Query()), range(24)))
        assert all(each == wanted for each in found)


def e164(number: PhoneNumber) -> str:
    """The number in E.164, empty if it is none."""
    read = to_e164(str(number.number))
    return read.number if read else ""


Rule = tuple[tuple[str, ...], tuple[str, ...], str | None]


def rules(numbers: Sequence[PhoneNumber]) -> Iterator[Rule]:
    """Rules that fit some of the numbers, all, or none."""
    all_of_them = tuple(dict.fromkeys(filter(None, map(e164, numbers))))
    names = tuple(number.name for number in numbers if number.name)
    owners = list(dict.fromkeys(owner for number in numbers for owner in number.owners))
    for wanted in (all_of_them[:1], all_of_them[-2:], all_of_them, ("+12025550199",)):
        yield wanted, (), None
        yield wanted, names[:1] or ("*",), None
    for patterns in (names[:1], ("*",), ("no such name",), ("*LINE*", *names[-1:])):
        yield (), patterns, None
    for owner in [*owners[:3], "no-such-owner"]:
        yield (), (), owner
        yield all_of_them[:1], (), owner


def by_rule(
    found: Sequence[PhoneNumber],
    numbers: tuple[str, ...],
    names: tuple[str, ...],
    owner: str | None,
) -> set[tuple[str, str, bool]]:
    """What a rule leaves of a listing."""
    return {
        (e164(number), number.name, number.voice)
        for number in found
        if (not numbers or e164(number) in numbers)
        and (not names or any(_fits(number.name, pattern) for pattern in names))
        and (not owner or owner.casefold() in map(str.casefold, number.owners))
    }


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.casefold(), pattern.casefold())
