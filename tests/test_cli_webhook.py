"""`flask webhook`, run as a user runs it, against the real server and against strangers."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from app import create_app
from hubspot.signature import TIMESTAMP_HEADER, V3_HEADER, signed_headers
from hubspot.webhook import PATH
from tests.breaks import BODY, BREAKS, NOW_MS, SECRET, URL, Break, as_file
from tests.server import Server, free_port, serving
from tests.test_cli import SETTINGS, flask

if TYPE_CHECKING:
    Done = subprocess.CompletedProcess[str]
else:
    Done = subprocess.CompletedProcess
WHO = ("--portal-id", "62515", "--user-id", "1001")


# flask webhook send


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(SETTINGS | {"HUBSPOT_SIGNATURE_VERSIONS": "v3,v2,v1"}) as running:
        yield running


def run(settings: dict[str, str], *arguments: str, stdin: str = "") -> Done:
    """`flask`, but in this process, for it takes half a second to start one."""
    runner = create_app(SETTINGS | settings).test_cli_runner()
    done = runner.invoke(args=arguments, input=stdin)
    unexpected = done.exc_info and not isinstance(done.exception, SystemExit | None)
    stderr = done.stderr + (f"Traceback: {done.exception!r}" if unexpected else "")
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, stderr)


def send(url: str, *arguments: str, **settings: str) -> Done:
    return run(settings, "webhook", "send", *WHO, "--url", url, *arguments)


@pytest.mark.parametrize("version", ["v3", "v2", "v1"])
def test_send_shows_the_drop_down(server: Server, version: str) -> None:
    done = send(server.url, "--signature", version)
    assert done.returncode == 0
    assert f"POST {server.url}{PATH}\n200 OK, signed with {version}, " in done.stdout
    assert "within HubSpot's 5 s, live" in done.stdout
    assert "Customer Su…ort – Berlin" in done.stdout
    assert "not selectable: extension 7" in done.stdout


def test_send_takes_the_whole_url_too(server: Server) -> None:
    done = send(server.url + PATH, "--json")
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, 200)


def test_send_with_the_wrong_secret_fails_and_shows_the_answer(server: Server) -> None:
    wrong = "another-secret-of-tests"
    done = send(server.url, HUBSPOT_CLIENT_SECRET=wrong)
    assert done.returncode == 1
    assert "401" in done.stdout
    assert "INVALID_AUTHENTICATION" in done.stdout
    assert "flask webhook explain --from-log FILE" in done.stdout
    assert wrong not in done.stdout + done.stderr


def test_send_to_this_machine_signs_for_the_public_url() -> None:
    settings = SETTINGS | {"PUBLIC_URL": "https://numbers.example.com"}
    with serving(settings) as server:
        done = send(server.url, PUBLIC_URL=settings["PUBLIC_URL"])
        refused = send(server.url, "--signature", "v2", "--json")
    assert done.returncode == 0
    assert f"signed for {settings['PUBLIC_URL']}{PATH}" in done.stdout
    assert refused.returncode == 1, "v2 is not accepted by default"
    assert json.loads(refused.stdout)["status"] == 401


def test_send_to_nobody_says_so() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = flask(SETTINGS, "webhook", "send", *WHO, "--url", url)
    assert done.returncode == 1
    assert f"no answer from {url}" in done.stderr
    assert "it was refused; is `make run` running?" in done.stderr
    assert "Traceback" not in done.stderr


def test_send_to_an_unknown_host_says_that_it_is_unknown() -> None:
    done = send("https://nobody.invalid")
    assert done.returncode == 1
    assert "the host name was not found; does the service run there?" in done.stderr


def test_send_to_nobody_is_told_as_json_too() -> None:
    done = send(f"http://127.0.0.1:{free_port()}", "--json")
    assert done.returncode == 1
    assert "no answer from http://127.0.0.1:" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("url", ["numbers.example.com", "ftp://x.example", "http://", "https://["])
def test_send_to_what_is_no_url_says_so(url: str) -> None:
    done = send(url)
    assert done.returncode == 2
    assert "--url" in done.stderr
    assert "Traceback" not in done.stderr


def test_send_without_a_secret_says_what_is_missing() -> None:
    url = "http://127.0.0.1:1"
    done = flask({}, "webhook", "send", *WHO, "--url", url)
    assert done.returncode == 1
    assert "HUBSPOT_CLIENT_SECRET: missing" in done.stderr


def test_repeat_prints_the_spread(server: Server) -> None:
    done = send(server.url, "--repeat", "7")
    assert done.returncode == 0
    assert "7 requests, 0 failed: fastest " in done.stdout
    assert " median " in done.stdout
    data = json.loads(send(server.url, "--repeat", "3", "--json").stdout)
    assert len(data["allMs"]) == 3
    assert min(data["allMs"]) <= data["ms"] <= max(data["allMs"])


def test_repeat_with_a_failure_among_them_fails() -> None:
    with answering((200, "application/json", EMPTY), (503, "application/json", BUSY)) as url:
        done = send(url, "--repeat", "4")
    assert done.returncode == 1
    assert "4 requests, 2 failed" in done.stdout
    assert "503" in done.stdout


EMPTY = '{"phoneNumbers": []}'
BUSY = (
    '{"status":"error","message":"The phone provider asks us to wait.",'
    '"correlationId":"b3a0aaef-ab87-4b00-a344-673f41ff7635","category":"PROVIDER_UNAVAILABLE"}'
)


@contextmanager
def answering(*answers: tuple[int, str, str]) -> Iterator[str]:
    """A server that gives these answers in turn, again and again, each with Retry-After: 17."""
    given = 0

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal given
            status, kind, body = answers[given % len(answers)]
            given += 1
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Retry-After", "17")
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


HTML = "<!DOCTYPE html><title>Another site</title><p>Welcome"


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ((503, "application/json", BUSY), ["503 Service Unavailable", BUSY, "Retry-After: 17"]),
        ((200, "text/html", HTML), ["200 OK", HTML, "another service answers at this URL"]),
        ((200, "application/json", "[1]"), ["[1]", "another service answers at this URL"]),
        ((200, "application/json", '{"phoneNumbers":[{"x":1}]}'), ["another service answers"]),
        ((404, "text/html", HTML), ["404 Not Found", HTML, "no webhook at this URL"]),
        ((301, "text/html", ""), ["301", "HubSpot has to be given the URL it leads to"]),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else "",
)
def test_failure_is_shown_in_full(answer: tuple[int, str, str], shown: list[str]) -> None:
    with answering(answer) as url:
        done = send(url)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for text in shown:
        assert text in done.stdout


def test_failure_as_json_holds_it_too() -> None:
    with answering((503, "application/json", BUSY)) as url:
        data = json.loads(send(url, "--json").stdout)
    assert (data["status"], data["retryAfter"]) == (503, "17")
    assert data["body"]["category"] == "PROVIDER_UNAVAILABLE"


def test_empty_drop_down_says_who_tells_why() -> None:
    with answering((200, "application/json", EMPTY)) as url:
        done = send(url)
    assert done.returncode == 0
    assert "drop-down is empty; `flask numbers --portal-id 62515 --user-id 1001" in done.stdout


# flask webhook explain

EXPLAINED = {one.name: one for one in BREAKS}
HTTP = EXPLAINED["http for https"]
OURS = {"HUBSPOT_CLIENT_SECRET": SECRET}


def explain(*arguments: str, stdin: str = "", **settings: str) -> Done:
    return run(OURS | settings, "webhook", "explain", *arguments, stdin=stdin)


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
    done = flask({}, "webhook", "explain", stdin=json.dumps(PLAIN))
    assert done.returncode == 1
    assert "HUBSPOT_CLIENT_SECRET: missing" in done.stderr


def test_malformed_setting_is_named_by_explain() -> None:
    settings = OURS | {"TRUSTED_PROXIES": "many"}
    done = flask(settings, "webhook", "explain", stdin=json.dumps(PLAIN))
    assert done.returncode == 1
    assert "TRUSTED_PROXIES" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def logs() -> dict[str, str]:
    """What the service writes, in either format: twice http for https, once a wrong secret."""
    found = {}
    for log_format in ("json", "text"):
        with serving(OURS | {"DIRECTORY_TOML": "", "LOG_FORMAT": log_format, **STATIC}) as server:
            post(server, SECRET, "https")
            post(server, SECRET, "https")
            post(server, "another", "http")
            post(server, SECRET, "http")
            found[log_format] = server.output()
    return found


STATIC = {"DIRECTORY_TOML": SETTINGS["DIRECTORY_TOML"]}


def post(server: Server, secret: str, scheme: str) -> None:
    body = b'{"appId":1,"portalId":62515,"userId":1001}'
    signed = server.url.replace("http", scheme, 1) + PATH
    headers = signed_headers("v3", secret, "POST", signed, body, time.time_ns() // 1_000_000)
    headers["Content-Type"] = "application/json"
    requests.post(server.url + PATH, data=body, headers=headers, timeout=20)


def wrapped_by_docker(log: str) -> str:
    return "".join(json.dumps({"log": line, "stream": "stderr"}) + "\n" for line in log.split("\n"))


def wrapped_by_a_query(log: str) -> str:
    lines = [json.loads(line) for line in log.splitlines() if '"event"' in line]
    return json.dumps([{"resource": {}, "jsonPayload": line} for line in lines], indent=2)


@pytest.mark.parametrize(
    "wrap",
    [
        str,
        lambda log: log.replace("{", "2026-11-22T18:03:38.307997+00:00 app[web.1]: {"),
        lambda log: log.replace('{"', 'web {container="x"} | {"'),
        lambda log: log.replace("\n", "\r\n"),
        wrapped_by_docker,
        wrapped_by_a_query,
    ],
    ids=["as it is", "Heroku", "braces before it", "Windows", "Docker", "a list"],
)
def test_own_log_is_explained_whatever_stands_around_it(logs: dict[str, str], wrap: Any) -> None:
    found = json.loads(explain("--from-log", "--json", stdin=wrap(logs["json"])).stdout)
    assert [(one["cause"], one["count"]) for one in found] == [
        ("http for https", 2), ("wrong secret", 1),
    ]  # fmt: skip
    assert found[0]["remedy"].startswith("set PUBLIC_URL=https://127.0.0.1:")
    assert found[0]["url"].endswith(PATH)
    assert found[0]["last"].endswith("Z")


def test_own_log_as_text_is_explained_too(logs: dict[str, str]) -> None:
    done = explain("--from-log", stdin=logs["text"])
    assert done.returncode == 0
    first, second = done.stdout.split("\n\n")
    assert first.startswith("Cause:  http for https\nRemedy: set PUBLIC_URL=https://127.0.0.1:")
    assert "\nSeen:   2 times" in first
    assert second.startswith("Cause:  wrong secret\n")
    assert "\nSeen:   once" in second


def test_own_log_needs_no_settings_to_be_explained(logs: dict[str, str]) -> None:
    done = flask({}, "webhook", "explain", "--from-log", stdin=logs["json"])
    assert (done.returncode, done.stdout.count("Cause:")) == (0, 2)


@pytest.mark.parametrize(
    "content", ["", "hello\n", '{"event":"request","status":200}\n', "{" * 5000, "[" * 100_000]
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
