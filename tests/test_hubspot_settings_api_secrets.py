"""Keys and tokens for HubSpot's settings stand in no error, no log and no repr."""

import logging
import socket
import threading
import traceback

import pytest

from hubspot.settings_api import APIError, Client, NoAnswer
from providers.testing.carrier import Carrier, Fault, break_off, reset
from tests.support.carrier import does
from tests.support.hubspot_api import APP_ID, HubSpotAPI, refusal

SECRETS = ("s3cr3t+key/of tests", "tok3n-of-tests")


def careless(port: int = 0) -> list[tuple[str, Client]]:
    """The same server, once by key and once by token."""
    url = f"http://127.0.0.1:{port}"
    key, token = SECRETS
    return [(key, Client(1, url, api_key=key)), (token, Client(1, url, access_token=token))]


def in_traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


def test_keys_are_in_no_repr() -> None:
    for _, client in careless():
        assert not any(secret in repr(client) for secret in SECRETS)


def test_key_that_hubspot_quotes_is_not_shown(
    api: HubSpotAPI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for secret, client in careless(int(api.url.rpartition(":")[2])):
        written = secret.replace("+", "%2B").replace("/", "%2F").replace(" ", "%20")
        said = f"This key ({secret}) doesn't exist: ?hapikey={written}"
        api.then = [refusal(401, said, secret, correlationId=secret)]
        with pytest.raises(APIError) as caught:
            client.fetch()
        shown = in_traceback(caught.value) + caplog.text
        assert "doesn't exist" in shown
        assert secret not in shown
        assert written not in shown


@pytest.mark.parametrize("fault", [reset, break_off])
def test_key_is_not_shown_when_the_connection_fails(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Carrier(does(fault)) as server:
        for secret, client in careless(server.port):
            with pytest.raises(
                NoAnswer, match=r"cannot be reached at http://127\.0\.0\.1"
            ) as caught:
                client.fetch()
            assert "s3cr3t" not in in_traceback(caught.value) + caplog.text
            assert secret not in in_traceback(caught.value) + caplog.text


def test_key_is_not_logged_when_hubspots_headers_are_broken(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def malformed(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(
            b"HTTP/1.1 404 Not Found\r\nno colon here\r\nContent-Length: 0\r\n"
            b"Connection: close\r\n\r\n"
        )

    with Carrier(does(malformed)) as server:
        for secret, client in careless(server.port):
            client.fetch()
            shown = caplog.text + "".join(capfd.readouterr())
            assert "hapikey" not in shown
            assert secret not in shown


@pytest.mark.parametrize(
    "token", ["a\nb-of-tests", "a\r\nX-Evil: of-tests", "“of-tests”", "é-of-tests…"]
)
def test_token_that_no_header_can_hold_is_refused_without_showing_it(
    api: HubSpotAPI, token: str
) -> None:
    with pytest.raises(NoAnswer, match="cannot be sent") as caught:
        Client(APP_ID, api.url, access_token=token).fetch()
    assert "of-tests" not in in_traceback(caught.value)
    assert not api.asked
