"""The URL that HubSpot signed, whatever stands between it and the service."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from helpdesk_numbers.webhook import PATH

Post = Callable[..., TestResponse]

PUBLIC = "https://numbers.example.com"


@pytest.mark.parametrize(
    ("trusted", "forwarded", "scheme"),
    [
        ("0", "https", "http"),
        ("1", None, "http"),
        ("1", "https", "https"),
        ("1", "http, https", "https"),
        ("1", "https, http", "http"),
        ("2", "https, http", "https"),
        ("2", "http, https, http", "https"),
        ("2", "https", "http"),
    ],
)
def test_as_many_proxies_as_configured_are_believed(
    environ: dict[str, str], post: Post,
    trusted: str, forwarded: str | None, scheme: str,
) -> None:  # fmt: skip
    environ["TRUSTED_PROXIES"] = trusted
    other = {"http": "https", "https": "http"}[scheme]
    headers = {"X-Forwarded-Proto": forwarded}
    assert post(url=f"{scheme}://localhost{PATH}", headers=headers).status_code == 200
    assert post(url=f"{other}://localhost{PATH}", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "header", ["X-Forwarded-Host", "X-Forwarded-Prefix", "Forwarded", "X-Real-Host"]
)
def test_host_is_the_host_header_whatever_else_is_sent(post: Post, header: str) -> None:
    headers = {header: "host=elsewhere.example" if header == "Forwarded" else "elsewhere.example"}
    assert post(headers=headers).status_code == 200
    assert post(headers=headers, url=f"http://elsewhere.example{PATH}").status_code == 401


def test_host_header_counts_with_its_port(post: Post) -> None:
    headers = {"Host": "numbers.example.com:8443"}
    assert post(headers=headers, url=f"http://numbers.example.com:8443{PATH}").status_code == 200
    assert post(headers=headers, url=f"http://numbers.example.com{PATH}").status_code == 401


ODD_TARGETS = [
    PATH,
    f"{PATH}?",
    f"{PATH}??",
    f"{PATH}?a=%20b&a=+&c",
    f"{PATH}?x=%3A%2F%3f&y=%C3%A9%25",
    f"{PATH}?url=http://elsewhere.example/",
    f"{PATH}?b=1&a=2",
    "/hubspot%2Fphone-numbers",
    "/hubspot%2fphone-numbers",
    "/%68ubspot/phone-numbers",
]


@pytest.mark.parametrize("target", ODD_TARGETS)
@pytest.mark.parametrize("public", [None, PUBLIC, PUBLIC + "/", PUBLIC + "/some/prefix"])
def test_path_and_query_count_as_they_came(
    environ: dict[str, str], post: Post, target: str, public: str | None
) -> None:
    if public:
        environ["PUBLIC_URL"] = public
    base = (public or "http://localhost").rstrip("/")
    raw = {"RAW_URI": target, "REQUEST_URI": target}
    assert post(target=target, url=base + target, environ_overrides=raw).status_code == 200
    other = base + target.replace("?", "?&") + ("" if "?" in target else "?")
    assert post(target=target, url=other, environ_overrides=raw).status_code == 401


@pytest.mark.parametrize("query", ["", "?", "?url=http://elsewhere.example/"])
def test_absolute_request_target_counts_from_its_path(post: Post, query: str) -> None:
    """A proxy may send it: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2"""
    absolute = {"RAW_URI": f"http://internal:8000{PATH}{query}"}
    assert post(url=f"http://localhost{PATH}{query}", environ_overrides=absolute).status_code == 200
    assert post(url=absolute["RAW_URI"], environ_overrides=absolute).status_code == 401


@pytest.mark.parametrize(
    ("kept", "query"),
    [
        *itertools.product(["RAW_URI", "REQUEST_URI"], ["", "?", "?a=%20b&c=%3A"]),
        *[(None, ""), (None, "?a=%20b&c=%3A")],  # WSGI alone does not tell an empty query from none
    ],
)
def test_other_servers_than_gunicorn_will_do(
    app: Flask, post: Post, kept: str | None, query: str
) -> None:
    inner = app.wsgi_app

    def bare(environ: dict[str, Any], start_response: Any) -> Any:
        for name in {"RAW_URI", "REQUEST_URI"} - {kept}:
            del environ[name]
        return inner(environ, start_response)

    app.wsgi_app = bare  # type: ignore[method-assign] # as ProxyFix is put in
    raw = {"RAW_URI": PATH + query, "REQUEST_URI": PATH + query}
    assert post(target=PATH + query, environ_overrides=raw).status_code == 200
