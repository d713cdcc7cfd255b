"""The lookup: accounts side by side, one deadline, what is left out, and what a failure does."""

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from providers import lookup as lookup_module
from providers.base import Deadline, PhoneNumber, Provider, Query
from providers.directory import Directory, Portal, Rule
from providers.errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from providers.lookup import Lookup, Result

ALL = EAST, WEST, SALES = "+12025550143", "+12025550144", "+12025550145"


class Obedient(Provider):
    """Does what the test tells it to."""

    name = "obedient"

    def __init__(
        self, account: str, does: Callable[[Query], Any], country: str | None = None
    ) -> None:
        super().__init__(Provider.Options(country=country), account)
        self._does = does
        self.queries: list[Query] = []

    def list_numbers(self, query: Query) -> Iterable[PhoneNumber]:
        self.queries.append(query)
        return cast("Iterable[PhoneNumber]", self._does(query))


class Immediate(Obedient):
    name = "immediate"
    fixed = True


def gives(*numbers: str | PhoneNumber) -> Callable[[Query], list[PhoneNumber]]:
    made = [PhoneNumber(one) if isinstance(one, str) else one for one in numbers]
    return lambda _: made


def fails(error: BaseException) -> Callable[[Query], list[PhoneNumber]]:
    def failing(_: Query) -> list[PhoneNumber]:
        raise error

    return failing


def sleeps(seconds: float, *numbers: str) -> Callable[[Query], list[PhoneNumber]]:
    def sleeping(_: Query) -> list[PhoneNumber]:
        time.sleep(seconds)
        return [PhoneNumber(number) for number in numbers]

    return sleeping


class Fixed:
    """A directory that stays as it is until the test changes it."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory

    def current(self) -> Directory:
        return self.directory


def lookup_of(
    *accounts: Provider,
    rule: Rule | None = None,
    deadline_s: float = 10,
    last_known_good_s: float = 0,
    threads: int = 16,
) -> Lookup:
    portal = Portal(tuple(one.account for one in accounts), "all", {1: rule} if rule else {})
    directory = Directory({one.account: one for one in accounts}, {62515: portal})
    return Lookup(Fixed(directory), deadline_s, last_known_good_s, threads)


def look_up(*accounts: Provider, rule: Rule | None = None, deadline_s: float = 10) -> Result:
    return lookup_of(*accounts, rule=rule, deadline_s=deadline_s).look_up(62515, 1)


def found(result: Result) -> list[str]:
    return [one.e164 for one in result.numbers]


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What a hanging account waits for, so that it ends with the test."""
    event = threading.Event()
    yield event
    event.set()


# Side by side


def test_accounts_are_asked_side_by_side() -> None:
    accounts = [Obedient(f"a{n}", sleeps(0.3, f"+120255501{n:02}")) for n in range(3)]
    started = time.monotonic()
    result = look_up(*accounts)
    assert time.monotonic() - started < 0.8
    assert found(result) == ["+12025550100", "+12025550101", "+12025550102"]


def test_the_portals_order_counts_not_who_answers_first() -> None:
    accounts = [Obedient("slow", sleeps(0.2, EAST)), Obedient("quick", gives(WEST, SALES))]
    for _ in range(3):
        assert found(look_up(*accounts)) == [EAST, WEST, SALES]


def test_a_hanging_adapter_is_late_at_the_deadline(released: threading.Event) -> None:
    def hang(_: Query) -> list[PhoneNumber]:
        released.wait(30)
        return []

    started = time.monotonic()
    result = look_up(
        Obedient("hangs", hang), Obedient("desk", gives(EAST)), rule=Rule(), deadline_s=0.3
    )
    assert time.monotonic() - started < 1.2
    assert found(result) == [EAST]
    assert result.source == "partial"
    late = result.outcomes[0]
    assert (late.account, late.provider, late.outcome) == ("hangs", "obedient", "unreachable")
    assert late.error
    assert (late.error.account, late.error.provider) == ("hangs", "obedient")
    assert late.ms >= 300


def test_an_accounts_time_is_its_own_not_that_of_those_listed_before_it() -> None:
    result = look_up(Obedient("slow", sleeps(0.4, EAST)), Obedient("quick", gives(WEST)))
    slow, quick = result.outcomes
    assert slow.ms >= 400
    assert quick.ms < 300


def test_an_adapter_that_yields_for_ever_ends_at_the_deadline() -> None:
    def endless(_: Query) -> Iterator[PhoneNumber]:
        for _page in range(300):
            time.sleep(0.01)
            yield PhoneNumber(EAST)

    started = time.monotonic()
    result = look_up(Obedient("endless", endless), deadline_s=0.3)
    assert time.monotonic() - started < 1.2
    assert isinstance(result.failure, Unreachable)
    assert "not all pages" in str(result.failure)


def test_the_deadline_includes_the_wait_for_a_thread(released: threading.Event) -> None:
    def hang(_: Query) -> list[PhoneNumber]:
        released.wait(30)
        return [PhoneNumber(EAST)]

    hanging = [Obedient(f"hangs-{count}", hang) for count in range(5)]
    lookup = lookup_of(*hanging, deadline_s=0.2, threads=1)  # which asks four at a time
    started = time.monotonic()
    assert isinstance(lookup.look_up(62515, 1).failure, Unreachable)
    assert time.monotonic() - started < 1.2
    released.set()
    assert found(lookup.look_up(62515, 1)) == [EAST]


def test_a_fixed_account_answers_where_it_is_asked() -> None:
    asked_in: list[str] = []

    def tell(_: Query) -> list[PhoneNumber]:
        asked_in.append(threading.current_thread().name)
        return [PhoneNumber(EAST)]

    assert found(look_up(Immediate("desk", tell))) == [EAST]
    assert asked_in == [threading.current_thread().name]


def desk(number: str) -> Directory:
    rules = {1: Rule(), 2: Rule(numbers=(number,)), 3: Rule(numbers=("+12025550199",))}
    account = Immediate("desk", gives(EAST, WEST))
    return Directory({"desk": account}, {62515: Portal(("desk",), "all", rules)})


@pytest.mark.parametrize("room", [50_000, 1])
def test_what_is_known_of_fixed_accounts_is_each_users_and_of_the_directory_in_force(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_module, "MOST_KNOWN", room)
    directories = Fixed(desk(EAST))
    lookup = Lookup(directories, 10)
    for _ in range(2):
        assert [found(lookup.look_up(62515, user)) for user in (1, 2, 3)] == [
            [EAST, WEST],
            [EAST],
            [],
        ]
    assert lookup.look_up(62515, 1) is lookup.look_up(62515, 1) or room == 1
    assert len(lookup.look_up(62515, 3, narrow=False).left_out) == 2
    directories.directory = desk(WEST)
    for _ in range(2):
        assert [found(lookup.look_up(62515, user)) for user in (1, 2, 3)] == [
            [EAST, WEST],
            [WEST],
            [],
        ]


def test_of_fixed_accounts_beside_others_nothing_is_known() -> None:
    answers = iter([[PhoneNumber(EAST)], [PhoneNumber(WEST)]])
    lookup = lookup_of(Immediate("desk", gives()), Obedient("acme", lambda _: next(answers)))
    assert [found(lookup.look_up(62515, 1)) for _ in range(2)] == [[EAST], [WEST]]


# The query


def test_an_adapter_gets_the_rule_and_the_deadline() -> None:
    account = Obedient("acme", gives())
    look_up(account, rule=Rule((EAST,), ("Sales*",), "anna@acme.example"), deadline_s=3)
    query = account.queries[0]
    assert (query.numbers, query.names, query.owner) == ((EAST,), ("Sales*",), "anna@acme.example")
    assert 2 < query.deadline.left() <= 3


def test_a_lookup_that_is_not_narrow_asks_for_everything() -> None:
    account = Obedient("acme", lambda query: [PhoneNumber(one) for one in query.numbers or ALL])
    lookup = lookup_of(account, rule=Rule((EAST,)))
    assert lookup.look_up(62515, 1).left_out == []
    result = lookup.look_up(62515, 1, narrow=False)
    assert found(result) == [EAST]
    assert [one.number for one in result.left_out] == [WEST, SALES]


# Rules and what is left out


PEOPLE = gives(
    PhoneNumber(EAST, "Support East", owners=("anna@acme.example",)),
    PhoneNumber(WEST, "Support West", owners=("1007", "Anna@ACME.example")),
    PhoneNumber(SALES, "Sales"),
)


@pytest.mark.parametrize(
    ("rule", "expected", "reasons"),
    [
        (Rule(), [EAST, WEST, SALES], []),
        (Rule(numbers=(WEST,)), [WEST], ["not among the rule's numbers"] * 2),
        (Rule(names=("support*",)), [EAST, WEST], ["matches none of the rule's names"]),
        (Rule(owner="1007"), [WEST], ["not owned by the rule's owner"] * 2),
        (Rule(owner="anna@acme.example"), [EAST, WEST], ["not owned by the rule's owner"]),
        (Rule(names=("s*",), owner="1007", numbers=(EAST,)), [], None),
    ],
)
def test_the_rule_holds_whatever_the_adapter_returns(
    rule: Rule, expected: list[str], reasons: list[str] | None
) -> None:
    result = look_up(Obedient("acme", PEOPLE), rule=rule)
    assert found(result) == expected
    if reasons is not None:
        assert [one.reason for one in result.left_out] == reasons
        assert {one.account for one in result.left_out} <= {"acme"}


def test_a_number_that_cannot_take_calls_is_left_out() -> None:
    result = look_up(Obedient("acme", gives(PhoneNumber(EAST, voice=False), WEST)))
    assert found(result) == [WEST]
    assert [(one.number, one.reason) for one in result.left_out] == [(EAST, "cannot take calls")]


@pytest.mark.parametrize(
    "number",
    ["", "desk", "+", "555-0143", "+1202555014", "+120255501430", "911", "sip:a@b.example"],
)
def test_what_is_no_number_is_left_out(number: str) -> None:
    result = look_up(Obedient("acme", gives(number, EAST), country="US"))
    assert found(result) == [EAST]
    assert [(one.number, one.reason) for one in result.left_out] == [(number, "not a phone number")]


def test_national_numbers_are_read_by_the_accounts_country() -> None:
    result = look_up(
        Obedient("us", gives("(202) 555-0143"), country="US"),
        Obedient("gb", gives("020 7946 0018"), country="GB"),
        Obedient("none", gives("(202) 555-0144")),
    )
    assert found(result) == [EAST, "+442079460018"]
    assert [one.account for one in result.left_out] == ["none"]


def test_of_duplicates_the_first_account_wins() -> None:
    result = look_up(
        Obedient("first", gives(PhoneNumber(EAST, "East of first"), EAST)),
        Obedient("second", gives(PhoneNumber("+1 (202) 555-0143", "East of second"), WEST)),
    )
    assert [(one.e164, one.name, one.account) for one in result.numbers] == [
        (EAST, "East of first", "first"),
        (WEST, "", "second"),
    ]
    assert [(one.account, one.reason) for one in result.left_out] == [
        ("first", "listed already"),
        ("second", "listed already"),
    ]


def test_a_number_left_out_of_one_account_may_come_from_another() -> None:
    result = look_up(
        Obedient("sms", gives(PhoneNumber(EAST, voice=False))), Obedient("voice", gives(EAST))
    )
    assert [(one.e164, one.account) for one in result.numbers] == [(EAST, "voice")]


def test_extensions_are_numbers_of_their_own() -> None:
    result = look_up(
        Obedient(
            "acme",
            gives(
                PhoneNumber(EAST, extension="7"),
                PhoneNumber(EAST, extension=""),
                PhoneNumber(EAST, extension=None),
                f"{EAST} ext. 7",
                f"{EAST};ext=8",
            ),
        )
    )
    assert [(one.e164, one.extension) for one in result.numbers] == [
        (EAST, "7"),
        (EAST, None),
        (EAST, "8"),
    ]


ODD = cast("Any", PhoneNumber)


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        (ODD(None, None), []),
        (ODD(12025550143, 7, 7), [("+12025550143", "7", "7")]),
        (ODD(f" {EAST} ", "  East  ", " "), [(EAST, None, "East")]),
        (ODD(EAST, owners=None), [(EAST, None, "")]),
        (ODD(EAST, owners=(None, 1007)), [(EAST, None, "")]),
    ],
)
def test_odd_fields_survive(odd: PhoneNumber, expected: list[tuple[str, str | None, str]]) -> None:
    result = look_up(Obedient("acme", gives(odd), country="US"))
    assert [(one.e164, one.extension, one.name) for one in result.numbers] == expected


def test_odd_owners_are_compared_as_text() -> None:
    odd = gives(ODD(EAST, owners=(None, 1007)), ODD(WEST, owners=None))
    assert found(look_up(Obedient("acme", odd), rule=Rule(owner="1007"))) == [EAST]


# Failures


def test_a_failed_account_of_several_is_partial() -> None:
    result = look_up(Obedient("down", fails(Unreachable("no"))), Obedient("up", gives(EAST)))
    assert (found(result), result.source, result.failure) == ([EAST], "partial", None)
    assert [(one.account, one.outcome) for one in result.outcomes] == [
        ("down", "unreachable"),
        ("up", "ok"),
    ]


def test_an_account_without_numbers_has_not_failed() -> None:
    result = look_up(Obedient("down", fails(Refused("no"))), Obedient("empty", gives()))
    assert (result.numbers, result.source, result.failure) == ([], "partial", None)


def test_without_failures_the_source_is_live() -> None:
    result = look_up(Obedient("a", gives()), Immediate("b", gives(EAST)))
    assert (result.source, result.failure) == ("live", None)
    assert [one.outcome for one in result.outcomes] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("errors", "hopeful"),
    [
        ([Refused("r"), Unreadable("u")], 0),
        ([Unreadable("u"), Refused("r")], 0),
        ([Refused("r"), Unreachable("u")], 1),
        ([Refused("r"), RateLimited("l", 30)], 1),
        ([RateLimited("l", 30), RateLimited("l", 5), Refused("r")], 1),
        ([RateLimited("l", 30), Unreachable("u")], 1),
        ([ProviderError("p"), Unreachable("u")], 1),
        ([ProviderError("p")], 0),
    ],
)
def test_when_all_fail_the_most_hopeful_error_is_the_answer(
    errors: list[ProviderError], hopeful: int
) -> None:
    accounts = [Obedient(f"a{n}", fails(error)) for n, error in enumerate(errors)]
    result = look_up(*accounts)
    assert result.failure is errors[hopeful]
    assert result.failure.account == f"a{hopeful}"
    assert result.numbers == []


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError(f"for {EAST}"), Unreadable, "ValueError while reading the answer"),
        (KeyError("msisdn"), Unreadable, "KeyError 'msisdn' while reading the answer"),
        (KeyError(EAST), Unreadable, "KeyError while reading the answer"),
        (KeyError(), Unreadable, "KeyError while reading the answer"),
        (RecursionError(), Unreadable, "RecursionError while reading the answer"),
        (OSError(f"https://user:{EAST}@x"), Unreachable, "OSError in the adapter"),
        (TimeoutError(EAST), Unreachable, "TimeoutError in the adapter"),
    ],
)
@pytest.mark.parametrize("adapter", [Obedient, Immediate])
def test_whatever_an_adapter_raises_names_account_and_provider(
    adapter: type[Obedient], error: Exception, kind: type[ProviderError], message: str
) -> None:
    result = look_up(adapter("acme", fails(error)))
    assert type(result.failure) is kind
    assert (result.failure.account, result.failure.provider) == ("acme", adapter.name)
    assert str(result.failure) == message
    assert result.failure.__cause__ is error


@pytest.mark.parametrize("returned", [None, 7, [None], [{"number": EAST}], [EAST], ["x", None]])
def test_an_adapter_that_returns_no_numbers_fails_alone(returned: object) -> None:
    result = look_up(Obedient("wrong", lambda _: returned), Obedient("right", gives(EAST)))
    assert found(result) == [EAST]
    assert [one.outcome for one in result.outcomes] == ["unreadable", "ok"]


def test_an_error_after_some_numbers_gives_none_of_them() -> None:
    """Half an account would look like a whole one."""

    def break_off(_: Query) -> Iterator[PhoneNumber]:
        yield PhoneNumber(EAST)
        raise Unreachable("page 2")

    assert found(look_up(Obedient("acme", break_off), Obedient("desk", gives(WEST)))) == [WEST]


# The last known good


def answers_then_fails(error: ProviderError, *numbers: PhoneNumber) -> Callable[[Query], Any]:
    """The numbers once, and then the error for ever."""
    left: list[list[PhoneNumber]] = [list(numbers)]

    def answering(_: Query) -> list[PhoneNumber]:
        if left:
            return left.pop()
        raise error

    return answering


@pytest.mark.parametrize("error", [Unreachable("x"), RateLimited("x", 9), Unreadable("x")])
def test_the_last_known_good_answer_stands_in_for_an_account_that_fails(
    error: ProviderError,
) -> None:
    lookup = lookup_of(
        Obedient("acme", answers_then_fails(error, PhoneNumber(EAST))),
        Obedient("desk", gives(WEST)),
        last_known_good_s=60,
    )
    assert lookup.look_up(62515, 1).source == "live"
    result = lookup.look_up(62515, 1)
    assert (found(result), result.source, result.failure) == (
        [EAST, WEST],
        "last-known-good",
        None,
    )
    assert [(one.outcome, one.age_s is None) for one in result.outcomes] == [
        (error.outcome, False),
        ("ok", True),
    ]


def test_what_stands_in_is_filtered_by_the_asking_users_rule() -> None:
    account = Obedient(
        "acme",
        answers_then_fails(
            Unreachable("x"), PhoneNumber(EAST, "East"), PhoneNumber(SALES, voice=False)
        ),
    )
    lookup = lookup_of(account, rule=Rule(numbers=(WEST, SALES)), last_known_good_s=60)
    assert found(lookup.look_up(62515, 2)) == [EAST]  # a user who may see everything
    result = lookup.look_up(62515, 1)
    assert (result.source, result.numbers) == ("last-known-good", [])
    assert found(lookup.look_up(62515, 2)) == [EAST]


def test_a_narrow_answer_stands_in_for_nobody_who_may_see_more() -> None:
    account = Obedient("acme", answers_then_fails(Unreachable("x"), PhoneNumber(EAST)))
    lookup = lookup_of(account, rule=Rule(numbers=(EAST,)), last_known_good_s=60)
    assert lookup.look_up(62515, 1).source == "live"
    assert isinstance(lookup.look_up(62515, 2).failure, Unreachable)
    assert found(lookup.look_up(62515, 1)) == [EAST]


def test_no_account_stands_in_for_another() -> None:
    up = Obedient("up", gives(EAST))
    down = Obedient("down", fails(Unreachable("x")))
    directory = Directory(
        {"up": up, "down": down}, {62515: Portal(("up",)), 62516: Portal(("down",))}
    )
    lookup = Lookup(Fixed(directory), 10, 60)
    assert found(lookup.look_up(62515, 1)) == [EAST]
    result = lookup.look_up(62516, 1)
    assert (result.numbers, result.source) == ([], "partial")
    assert isinstance(result.failure, Unreachable)


def test_an_older_answer_and_a_failure_without_one_are_partial() -> None:
    lookup = lookup_of(
        Obedient("acme", answers_then_fails(Unreachable("x"), PhoneNumber(EAST))),
        Obedient("never", fails(Unreachable("x"))),
        last_known_good_s=60,
    )
    lookup.look_up(62515, 1)
    result = lookup.look_up(62515, 1)
    assert (found(result), result.source, result.failure) == ([EAST], "partial", None)


def test_nothing_stands_in_for_longer_than_last_known_good() -> None:
    account = Obedient("acme", answers_then_fails(Unreachable("x"), PhoneNumber(EAST)))
    lookup = lookup_of(account, last_known_good_s=0.6)
    lookup.look_up(62515, 1)
    assert lookup.look_up(62515, 1).source == "last-known-good"
    time.sleep(0.7)
    assert isinstance(lookup.look_up(62515, 1).failure, Unreachable)


def test_without_last_known_good_nothing_stands_in() -> None:
    account = Obedient("acme", answers_then_fails(Unreachable("x"), PhoneNumber(EAST)))
    lookup = lookup_of(account, last_known_good_s=0)
    lookup.look_up(62515, 1)
    assert isinstance(lookup.look_up(62515, 1).failure, Unreachable)


def test_after_a_refusal_nothing_stands_in_ever_again() -> None:
    """Access was taken away on purpose."""
    errors = iter([Refused("answered 401", 401), *[Unreachable("answered 500")] * 3])
    given = [[PhoneNumber(EAST)]]

    def answering(_: Query) -> list[PhoneNumber]:
        if given:
            return given.pop()
        raise next(errors)

    lookup = lookup_of(Obedient("acme", answering), last_known_good_s=60)
    assert found(lookup.look_up(62515, 1)) == [EAST]
    for kind in (Refused, Unreachable, Unreachable, Unreachable):
        result = lookup.look_up(62515, 1)
        assert (type(result.failure), result.numbers) == (kind, [])


# Accounts come and go


def test_an_account_that_left_the_directory_is_forgotten() -> None:
    account = Obedient("acme", gives(EAST))
    portals = {62515: Portal(("acme",))}
    directories = Fixed(Directory({"acme": account}, portals))
    lookup = Lookup(directories, 10)
    assert found(lookup.look_up(62515, 1)) == [EAST]
    gone = weakref.ref(account)
    account = Obedient("acme", gives(WEST))
    directories.directory = Directory({"acme": account}, portals)
    assert found(lookup.look_up(62515, 1)) == [WEST]
    deadline = time.monotonic() + 5
    while gone() and time.monotonic() < deadline:  # the thread lets go of its call
        gc.collect()
        time.sleep(0.01)
    assert gone() is None


# Nobody to ask


@pytest.mark.parametrize("rule", [Rule(numbers=()), Rule(names=()), Rule(accounts=())])
def test_an_empty_rule_asks_nobody(rule: Rule) -> None:
    account = Obedient("acme", gives(EAST))
    result = look_up(account, rule=rule)
    assert (result.numbers, result.outcomes, result.failure) == ([], [], None)
    assert result.source == "live"
    assert account.queries == []


def test_a_rule_of_accounts_asks_only_those() -> None:
    mine, other = Obedient("mine", gives(EAST)), Obedient("other", gives(WEST))
    assert found(look_up(other, mine, rule=Rule(accounts=("mine",)))) == [EAST]
    assert other.queries == []


def test_another_portal_asks_nobody() -> None:
    account = Obedient("acme", gives(EAST))
    result = lookup_of(account).look_up(62516, 1)
    assert (result.numbers, result.why) == ([], "portal not in the directory")
    assert account.queries == []


# The rest of the base


def test_a_deadline_never_goes_below_zero() -> None:
    assert Deadline(-1).left() == 0
    assert 0 < Deadline(5).left() <= 5


def test_a_provider_has_to_list_numbers() -> None:
    class Lazy(Provider):
        name = "lazy"

    with pytest.raises(ProviderError, match="NotImplementedError"):
        Lazy(Provider.Options(), "acme").ask(Query())


def test_serving_imports_no_carrier_that_is_not_in_use() -> None:
    code = (
        "import sys; import app, providers, providers.lookup, hubspot.service;"
        "providers.names();"
        "print(*(name for name in sys.modules if name.startswith(('twilio', 'providers.t'))))"
    )
    root = Path(__file__).parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == ""


def wait_for(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not happens() and time.monotonic() < until:
        time.sleep(0.01)
