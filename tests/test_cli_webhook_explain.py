"""`flask webhook explain`: a failed request, and the service's own log."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from helpdesk_numbers.webhook import PATH
from hubspot.signature import TIMESTAMP_HEADER, V3_HEADER, signed_headers
from tests.support.asking import ask_server
from tests.support.breaks import BODY, BREAKS, NOW_MS, SECRET, URL, Break, as_file
from tests.support.commands import Done, flask, here
from tests.support.server import serving
from tests.test_cli_numbers import SETTINGS

EXPLAINED = {one.name: one for one in BREAKS}
HTTP = EXPLAINED["http for https"]
OURS = {"HUBSPOT_CLIENT_SECRET": SECRET}


def explain(*arguments: str, stdin: str = "", **settings: str) -> Done:
    return here(OURS | settings, "webhook", "explain", *arguments, stdin=stdin)


def test_file_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "failed.json"
    file.write_text(json.dumps(as_file(HTTP)))
    done = flask(OURS, "webhook", "explain", str(file))
    assert done.returncode == 0
    cause, remedy, url = done.stdout.splitlines()
    assert cause == "Cause:  http for https"
    assert remedy.startswith(f"Remedy: {HTTP.remedy} (or")
    assert url == f"URL:    {HTTP.arrived} (as this service saw it)"
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_standard_input_is_explained(arguments: list[str]) -> None:
    done = flask(OURS, "webhook", "explain", *arguments, stdin="\ufeff" + json.dumps(as_file(HTTP)))
    assert done.stdout.startswith("Cause:  http for https\n")


@pytest.mark.parametrize(
    "name", ["nothing", "stale", "body indented", "wrong secret", "no signature"]
)
def test_json_holds_cause_and_remedy(name: str) -> None:
    broken = EXPLAINED[name]
    settings = {"HUBSPOT_CLIENT_SECRET": ",".join(broken.secrets)}
    done = explain("--json", stdin=json.dumps(as_file(broken)), **settings)
    found = json.loads(done.stdout)
    assert (done.returncode, list(found)) == (0, ["cause", "remedy", "url"])
    assert broken.cause in found["cause"]
    assert broken.remedy in found["remedy"]
    assert found["url"] == URL


PLAIN = as_file(EXPLAINED["nothing"])
PUBLIC = "https://numbers.example.com"


@pytest.mark.parametrize(
    ("url", "settings", "headers", "verified"),
    [
        ("http://10.0.0.7:8000" + PATH, {"PUBLIC_URL": PUBLIC}, {}, URL),
        (PATH, {"PUBLIC_URL": PUBLIC + "/"}, {}, URL),
        (URL, {"PUBLIC_URL": PUBLIC}, {}, URL),
        (PATH, {}, {"host": "numbers.example.com", "x-forwarded-proto": "https"}, URL),
        (PATH[1:], {}, {"Host": "numbers.example.com", "X-Forwarded-Proto": "http, https"}, URL),
        (URL, {}, {}, URL),
    ],
)
def test_url_may_be_given_as_the_service_saw_it(
    url: str, settings: dict[str, str], headers: dict[str, str], verified: str
) -> None:
    failed = {**PLAIN, "url": url, "headers": {**PLAIN["headers"], **headers}}
    found = json.loads(explain("--json", stdin=json.dumps(failed), **settings).stdout)
    assert found["url"] == verified
    assert found["cause"] == "nothing: the signature is valid"


@pytest.mark.parametrize("url", [f"{PUBLIC}/crm{PATH}", f"http://10.0.0.7{PATH}", PATH])
def test_prefix_of_the_public_url_is_not_taken_twice(url: str) -> None:
    found = json.loads(
        explain(
            "--json", stdin=json.dumps({**PLAIN, "url": url}), PUBLIC_URL=f"{PUBLIC}/crm"
        ).stdout
    )
    assert found["url"] == f"{PUBLIC}/crm{PATH}"


def test_public_url_that_is_set_is_not_to_be_changed_for_any_sender() -> None:
    failed = {**PLAIN, "url": PATH, "headers": {**PLAIN["headers"], "Host": "numbers.example.com"}}
    done = explain(stdin=json.dumps(failed), PUBLIC_URL="https://other.example.com")
    assert "PUBLIC_URL is https://other.example.com" in done.stdout
    assert f"set PUBLIC_URL={PUBLIC} only if HubSpot calls that" in done.stdout


def test_proxies_are_believed_as_the_settings_say() -> None:
    headers = {**PLAIN["headers"], "Host": "numbers.example.com", "X-Forwarded-Proto": "https"}
    failed = json.dumps({**PLAIN, "url": PATH, "headers": headers})
    found = json.loads(explain("--json", stdin=failed, TRUSTED_PROXIES="0").stdout)
    assert found["cause"] == "http for https"


def test_registered_url_tells_what_was_dropped() -> None:
    broken = EXPLAINED["query dropped, but registered"]
    failed = json.dumps(as_file(broken))
    assert "wrong secret" in explain(stdin=failed).stdout
    assert broken.cause in explain("--registered-url", broken.signed, stdin=failed).stdout


def test_headers_may_be_lists_and_numbers() -> None:
    lower = {name.lower(): value for name, value in PLAIN["headers"].items()}
    headers = {
        V3_HEADER.lower(): [lower[V3_HEADER.lower()]],
        TIMESTAMP_HEADER.lower(): int(lower[TIMESTAMP_HEADER.lower()]),
        "x-odd": "a\nb",
    }
    done = explain(stdin=json.dumps({**PLAIN, "headers": headers}))
    assert done.stdout.startswith("Cause:  nothing: the signature is valid\n")


def test_without_the_time_of_arrival_an_age_is_told_with_a_caution() -> None:
    failed = {name: value for name, value in PLAIN.items() if name != "receivedAt"}
    old = {**failed, "headers": signed_headers("v3", SECRET, "POST", URL, BODY, NOW_MS - 10**10)}
    found = json.loads(explain("--json", stdin=json.dumps(old)).stdout)
    assert found["cause"].startswith("the timestamp is ")
    assert "receivedAt" in found["remedy"]
    now_ms = time.time_ns() // 1_000_000
    fresh = {**failed, "headers": signed_headers("v3", SECRET, "POST", URL, BODY, now_ms)}
    assert "the signature is valid" in explain(stdin=json.dumps(fresh)).stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ("curl -X POST https://numbers.example.com", "method, url, headers and body"),
        ("[]", "method, url, headers and body"),
        ("{}", "`url`"),
        (json.dumps({"url": URL, "headers": {}}), "`body`"),
        (json.dumps({"url": URL, "body": ""}), "`headers`"),
        (json.dumps({**PLAIN, "body": {"appId": 1}}), "the exact text"),
        (json.dumps({**PLAIN, "headers": [1]}), "headers"),
        (json.dumps({**PLAIN, "receivedAt": "yesterday"}), "receivedAt"),
        ('{"event": "request", "status": 401}', "--from-log"),
        ('{"log": "{\\"event\\": \\"request\\"}", "stream": "stdout"}', "--from-log"),
        ('{"MESSAGE": "worker boots", "_PID": "1"}', "--from-log"),
        ("web.1: " + "x" * 1024 * 1024, "--from-log"),
        ('{"url": "\\ud800"}', "not a failed request"),
    ],
)
def test_what_is_no_failed_request_is_refused_with_the_reason(content: str, said: str) -> None:
    done = explain(stdin=content)
    assert (done.returncode, done.stdout) == (1, "")
    assert "not a failed request" in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_of_explain_exits_with_2() -> None:
    missing = explain("no-such-file.json")
    assert missing.returncode == 2
    assert "no-such-file.json" in missing.stderr
    assert explain("--nonsense").returncode == 2


def test_explain_without_a_secret_says_what_is_missing() -> None:
    done = here({}, "webhook", "explain", stdin=json.dumps(PLAIN))
    assert done.returncode == 1
    assert "HUBSPOT_CLIENT_SECRET: missing" in done.stderr


def test_malformed_setting_is_named_by_explain() -> None:
    settings = OURS | {"TRUSTED_PROXIES": "many"}
    done = here(settings, "webhook", "explain", stdin=json.dumps(PLAIN))
    assert done.returncode == 1
    assert "TRUSTED_PROXIES" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def log() -> str:
    """What the service writes: twice http for https, once a wrong secret, and one good request."""
    settings = OURS | {"LOG_FORMAT": "json", "DIRECTORY_TOML": SETTINGS["DIRECTORY_TOML"]}
    with serving(settings) as server:
        https = server.url.replace("http", "https", 1) + PATH
        ask_server(server.url, signed=https, secret=SECRET)
        ask_server(server.url, signed=https, secret=SECRET)
        ask_server(server.url, secret="another")
        ask_server(server.url, secret=SECRET)
        return server.output()


def wrapped(log: str, /, **fields: str) -> str:
    """Each line as a text in a JSON object, under the first of the names."""
    name = next(iter(fields))
    lines = [json.dumps({**fields, name: line}) for line in log.split("\n")]
    return "\n".join(lines)


WRAPPERS = {
    "as it is": str,
    "Heroku": lambda log: log.replace("{", "2026-11-22T18:03:38.307997+00:00 app[web.1]: {"),
    "journald": lambda log: log.replace('{"', 'Nov 22 18:03:38 host gunicorn[812]: {"'),
    "journald's JSON": lambda log: wrapped(log, MESSAGE="", _PID="812", PRIORITY="6"),
    "docker compose": lambda log: log.replace('{"', 'web-1  | {"'),
    "Docker's JSON": lambda log: wrapped(log, log="", stream="stderr"),
    "braces before it": lambda log: log.replace('{"', 'web {container="x"} | {"'),
    "Windows": lambda log: log.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_own_log_is_explained_whatever_stands_around_it(log: str, wrap: Any) -> None:
    found = json.loads(explain("--from-log", "--json", stdin=wrap(log)).stdout)
    assert [(one["cause"], one["count"]) for one in found] == [
        ("http for https", 2), ("wrong secret", 1),
    ]  # fmt: skip
    assert found[0]["remedy"].startswith("set PUBLIC_URL=https://127.0.0.1:")
    assert found[0]["url"].endswith(PATH)
    assert found[0]["last"].endswith("Z")


def test_own_log_is_explained_in_lines(log: str) -> None:
    done = explain("--from-log", stdin=log)
    assert done.returncode == 0
    first, second = done.stdout.split("\n\n")
    assert first.startswith("Cause:  http for https\nRemedy: set PUBLIC_URL=https://127.0.0.1:")
    assert "\nSeen:   2 times" in first
    assert second.startswith("Cause:  wrong secret\n")
    assert "\nSeen:   once" in second


def test_own_log_needs_no_settings_to_be_explained(log: str) -> None:
    done = here({}, "webhook", "explain", "--from-log", stdin=log)
    assert (done.returncode, done.stdout.count("Cause:")) == (0, 2)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "hello\n",
        '{"event":"request","status":200}\n',
        "18:03:38 INFO request status=401 cause='http for https'\n",
        '{"log": 7, "MESSAGE": [123, 34]}\n',
        "{" * 5000,
        "[" * 100_000,
    ],
)
def test_log_without_a_401_says_so(content: str) -> None:
    done = explain("--from-log", stdin=content)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no 401 line" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("broken", BREAKS[:3], ids=lambda broken: broken.name)
def test_command_says_what_the_diagnosis_does(broken: Break) -> None:
    found = json.loads(explain("--json", stdin=json.dumps(as_file(broken))).stdout)
    assert broken.cause in found["cause"]


ODD = "a\x1b[31mred\u202eb\u2028c\nd"
REFUSED = {"event": "request", "status": 401, "remedy": ODD, "url": ODD, "time": ODD}


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_what_strangers_put_into_a_log_is_not_printed_raw(as_json: list[str]) -> None:
    done = explain("--from-log", *as_json, stdin=json.dumps({**REFUSED, "cause": ODD}))
    assert done.returncode == 0
    assert all(line.isprintable() for line in done.stdout.split("\n"))
    assert "red" in done.stdout
    url = f"http://x.example/{ODD}"
    request = json.dumps({"url": url, "headers": {}, "body": ""})
    assert all(line.isprintable() for line in explain(*as_json, stdin=request).stdout.split("\n"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{" * 3_000_000, "more than 1 MiB"),
        ('{"a":' * 100_000, "recursion"),
        ("[" * 100_000, "not a failed request"),
    ],
)
def test_a_file_of_braces_is_told_in_words_not_in_gigabytes(content: str, says: str) -> None:
    began = time.process_time()
    done = explain(stdin=content)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert says in done.stderr
    done = explain("--from-log", stdin="cause" + content)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "no 401 line" in done.stderr
    assert time.process_time() - began < 20


def test_a_log_with_any_number_of_causes_is_cut_off() -> None:
    lines = (json.dumps({**REFUSED, "cause": str(number)}) for number in range(2000))
    done = explain("--from-log", "--json", stdin="\n".join(lines))
    assert len(json.loads(done.stdout)) == 100
    assert "first 100 causes" in done.stderr
