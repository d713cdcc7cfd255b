"""Typed values out of the environment or a table, with all faults at once."""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta
from msgspec.structs import fields

from providers.base.options import (
    URL,
    Faults,
    Problems,
    Secret,
    build,
    default_of,
    describe,
    did_you_mean,
    from_environ,
    is_secret,
)


class Desk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    number: str
    ext: str | None = None


class Options(msgspec.Struct, frozen=True, kw_only=True):
    key: Annotated[Secret, Meta(description="from the console")]
    keys: tuple[Secret, ...] = ()
    seconds: Annotated[float, Meta(gt=0)] = 4.0
    count: int | None = None
    on: bool = False
    kind: Literal["a", "b"] = "a"
    url: Annotated[URL, Meta(description="another host")] = ""
    desks: tuple[Desk, ...] = ()
    names: Annotated[list[str] | None, Meta(description="patterns")] = None
    tags: list[str] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        if self.kind == "b" and self.count is None:
            raise ValueError("count: needed for kind b")


def read(**environ: str) -> tuple[Options | None, list[str]]:
    """The options out of the environment, and what is wrong with them."""
    problems = Problems()
    return from_environ(Options, environ, problems, "LARK_"), [*problems.lines]


def faults_of(values: Mapping[str, object], struct: type[msgspec.Struct] = Options) -> list[str]:
    """What is wrong with an account's options, of which then nothing is made."""
    problems = Problems()
    assert build(struct, values, problems.at("accounts").at("acme")) is None
    return [*problems.lines]


SECRET = "the-very-secret"


@pytest.mark.parametrize("show", [repr, ascii, lambda secret: f"{secret!r}", lambda s: repr([s])])
def test_a_secrets_repr_hides_it(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(SECRET))
    assert SECRET not in shown
    assert "***" in shown


def test_options_repr_hides_secrets_alone_and_in_lists() -> None:
    made = build(Options, {"key": SECRET, "keys": [SECRET, SECRET]}, Problems())
    assert made is not None
    assert SECRET not in repr(made)
    assert type(made.key) is Secret
    assert [type(key) for key in made.keys] == [Secret, Secret]
    assert made.key == SECRET


def test_the_environment_is_converted() -> None:
    made, faults = read(
        LARK_KEY=SECRET,
        LARK_KEYS=" one, two ,,three ",
        LARK_SECONDS="2.5",
        LARK_COUNT=" 7 ",
        LARK_ON="true",
        LARK_KIND="b",
        LARK_URL="https://larkline.example:8443/v2",
        LARK_DESKS='[{"number": "+12025550143"}, {"number": "+12025550100", "ext": "7"}]',
        LARK_NAMES="Support*,Sales",
        LARK_TAGS="",
        KEY="of something else",
    )
    assert faults == []
    assert made == Options(
        key=Secret(SECRET),
        keys=(Secret("one"), Secret("two"), Secret("three")),
        seconds=2.5,
        count=7,
        on=True,
        kind="b",
        url="https://larkline.example:8443/v2",
        desks=(Desk(number="+12025550143"), Desk(number="+12025550100", ext="7")),
        names=["Support*", "Sales"],
    )


def test_text_stays_text() -> None:
    """A number in the environment must not become an int where text is wanted."""
    made, _ = read(LARK_KEY="15550101234", LARK_NAMES="1,null,true")
    assert made is not None
    assert (made.key, made.names) == ("15550101234", ["1", "null", "true"])


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_variable_counts_as_unset(empty: str) -> None:
    made, faults = read(LARK_KEY=empty, LARK_SECONDS=empty)
    assert made is None
    assert faults == ["LARK_KEY: missing (from the console)"]


def test_a_list_may_begin_with_a_bracket_and_still_be_names() -> None:
    made, _ = read(LARK_KEY=SECRET, LARK_NAMES="[abc]*,Sales")
    assert made is not None
    assert made.names == ["[abc]*", "Sales"]


def test_all_faults_come_at_once_with_place_and_help() -> None:
    _, faults = read(
        LARK_KEYS="x",
        LARK_SECONDS="0",
        LARK_COUNT="seven",
        LARK_KIND="c",
        LARK_URL="larkline.example",
        LARK_DESKS='[{"number": "+12025550143"}, {"ext": "7"}]',
    )
    assert [fault.partition(":")[0] for fault in faults] == [
        "LARK_COUNT",
        "LARK_DESKS[1].number",
        "LARK_KEY",
        "LARK_KIND",
        "LARK_SECONDS",
        "LARK_URL",
    ]
    assert faults[2].endswith("missing (from the console)")
    assert faults[5].endswith("(another host)")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/v2",
        "larkline.example",
        "ftp://larkline.example",
        "http://",
        "https:///v2",
        "http://a b",
        "https://larkline.example\n",
    ],
)
def test_a_base_url_needs_scheme_and_host(url: str) -> None:
    [fault] = faults_of({"key": SECRET, "url": url})
    assert fault.startswith("accounts.acme.url: ")


def test_a_base_url_has_no_query() -> None:
    assert len(faults_of({"key": SECRET, "url": "https://a.example/?key=k"})) == 1


@pytest.mark.parametrize("value", [7, True, ["a"], {"a": "b"}])
def test_a_secret_of_another_type_is_a_fault_without_its_value(value: object) -> None:
    [fault] = faults_of({"key": value})
    assert fault.startswith("accounts.acme.key: expected text, got ")
    assert fault.endswith(" (from the console)")
    assert str(value) not in fault


def test_an_unknown_option_gets_a_suggestion() -> None:
    assert faults_of({"key": SECRET, "secnods": 4, "zzz": 1}) == [
        "accounts.acme.secnods: no such option (did you mean 'seconds'?)",
        "accounts.acme.zzz: no such option",
    ]


def test_options_that_do_not_go_together_are_a_fault() -> None:
    assert read(LARK_KEY=SECRET, LARK_KIND="b") == (None, ["LARK_COUNT: needed for kind b"])


@pytest.mark.parametrize(
    ("desks", "fault"),
    [
        (
            '[{"number": "1"}, {"nmber": 1}, 7]',
            "[1].nmber: no such option (did you mean 'number'?)",
        ),
        ('[{"number": "1"}, 7, {"number": 2}]', "[1]: expected a table, got a whole number"),
        ('[{"number": 2}, {"ext": 7}]', "[0].number: expected text, got a whole number"),
        ('[{"ext": "7"}, {"ext": "8"}]', "[0].number: missing"),
    ],
)
def test_of_a_list_the_first_faulty_item_is_named_by_its_place(desks: str, fault: str) -> None:
    assert read(LARK_KEY=SECRET, LARK_DESKS=desks)[1] == [f"LARK_DESKS{fault}"]


def test_whether_options_go_together_is_asked_once_each_of_them_is_good() -> None:
    assert read(LARK_KIND="b", LARK_ON="perhaps")[1] == [
        "LARK_KEY: missing (from the console)",
        "LARK_ON: expected true or false, got text",
    ]
    assert read(LARK_KIND="b", LARK_KEY="k", LARK_ON="1")[1] == ["LARK_COUNT: needed for kind b"]


def test_nothing_is_made_of_a_faulty_option() -> None:
    """Neither that it is missing where it is misspelt, nor what its absence would mean."""
    _, faults = read(LARK_KEY=SECRET, LARK_KIND="b", LARK_COUNT="seven")
    assert faults == ["LARK_COUNT: expected a whole number, got text"]
    listed = faults_of({"kee": SECRET, "kind": "b", "cuont": 7})
    assert [fault.partition(": ")[0] for fault in listed] == [
        "accounts.acme.cuont",
        "accounts.acme.kee",
    ]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    left: str = ""
    right: str = ""

    def __post_init__(self) -> None:
        if self.left not in ("", "l"):
            raise Faults(["left: not l", "left: not even close"])
        if self.right not in ("", "r"):
            raise ValueError("right: not r")


def test_a_structs_own_objections_are_told_in_its_order() -> None:
    assert faults_of({"left": "x", "right": "y"}, Pair) == [
        "accounts.acme.left: not l",
        "accounts.acme.left: not even close",
    ]
    assert faults_of({"right": "y"}, Pair) == ["accounts.acme.right: not r"]


class Versions(msgspec.Struct):
    accepted: tuple[Literal["v3", "v2"], ...]


def test_choices_in_a_list_may_be_written_in_any_case() -> None:
    problems = Problems()
    made = from_environ(Versions, {"ACCEPTED": "V3,v2"}, problems)
    assert made == Versions(("v3", "v2"))
    assert from_environ(Versions, {"ACCEPTED": "V3,v4"}, problems) is None
    assert problems.lines == ["ACCEPTED[1]: expected one of v3, v2"]


def test_a_choice_may_be_written_in_any_case() -> None:
    made, _ = read(LARK_KEY=SECRET, LARK_KIND="A")
    assert made is not None
    assert made.kind == "a"


def test_a_wrong_choice_is_told_which_there_are() -> None:
    assert read(LARK_KEY=SECRET, LARK_KIND="c")[1] == ["LARK_KIND: expected one of a, b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "not JSON: Expecting value: line 1 column 1 "),
        ('[{"number": "+12025550143"}', "not JSON: Expecting ',' delimiter: line 1 column 28 "),
        ("[" * 100_000, "not JSON: "),
        ("[" + "5" * 5_000, "not JSON: "),
        ('{"number": "+12025550143"}', "expected a list, got a table"),
    ],
)
def test_a_list_of_tables_has_to_be_json(text: str, said: str) -> None:
    [fault] = read(LARK_KEY=SECRET, LARK_DESKS=text)[1]
    assert fault.startswith(f"LARK_DESKS: {said}")
    assert "555" not in fault


def test_no_fault_shows_a_value() -> None:
    desks = [{"number": "+12025550143", "x": 1}]
    faults = faults_of({"keys": [SECRET, 7], "count": SECRET, "desks": desks, "kind": SECRET})
    assert [fault.partition(":")[0] for fault in faults] == [
        "accounts.acme.count",
        "accounts.acme.desks[0].x",
        "accounts.acme.key",
        "accounts.acme.keys[1]",
        "accounts.acme.kind",
    ]
    assert SECRET not in str(faults)
    assert "555" not in str(faults)


def test_a_problem_is_a_line_that_knows_its_place_and_remedy() -> None:
    problems = Problems()
    problems.add("not TOML")
    problems.at("portals").at("7").at("accounts[1]").add("no such account", remedy="add it")
    first, second = problems.lines
    assert (first, first.place, first.text, first.remedy) == ("not TOML", "", "not TOML", "")
    assert second == "portals.7.accounts[1]: no such account"
    assert (second.place, second.text) == ("portals.7.accounts[1]", "no such account")
    assert second.remedy == "add it"


def test_faults_are_a_line_each() -> None:
    error = Faults(["a: missing", "b: missing"])
    assert str(error) == "a: missing\nb: missing"
    assert error.faults == ("a: missing", "b: missing")


def test_did_you_mean_suggests_only_what_is_near() -> None:
    assert did_you_mean("twillio", ["static", "twilio"]) == " (did you mean 'twilio'?)"
    assert did_you_mean("vonage", ["static", "twilio"]) == ""


def test_fields_describe_themselves() -> None:
    by_name = {field.name: field for field in fields(Options)}
    assert [name for name, field in by_name.items() if is_secret(field)] == ["key", "keys"]
    assert describe(by_name["key"]) == "from the console"
    assert describe(by_name["on"]) == ""
    assert default_of(by_name["key"]) is UNSET
    assert default_of(by_name["seconds"]) == 4.0
    assert default_of(by_name["tags"]) == []
