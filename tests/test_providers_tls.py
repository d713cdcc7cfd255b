"""Carriers are believed by their certificates alone, whatever proxy stands before them."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.base.errors import ProviderError
from providers.base.options import Secret
from providers.base.provider import PhoneNumber, Query
from providers.telnyx import Telnyx
from providers.testing.carrier import Carrier, Fault, reset
from tests.support.carrier import says
from tests.support.https import HOST, https

NUMBERS = {"data": [{"phone_number": "+12025550143"}], "meta": {"total_pages": 1}}


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch, certificate: Path) -> Iterator[pytest.MonkeyPatch]:
    """A carrier at HOST, reached through a proxy."""

    with Carrier(says(NUMBERS)) as carrier, https(certificate, carrier.url) as front:
        for name, value in front.environ.items():
            monkeypatch.setenv(name, value)
        yield monkeypatch


def ask(host: str = HOST) -> list[PhoneNumber]:
    options = Telnyx.Options(api_key=Secret("a-key"), base_url=f"https://{host}/v2")
    return Telnyx(options, "acme").ask(Query())


def test_carrier_that_we_trust_is_asked() -> None:
    assert [number.number for number in ask()] == ["+12025550143"]


def test_connection_that_breaks_behind_a_proxy_is_tried_again(
    environ: pytest.MonkeyPatch, certificate: Path
) -> None:
    faults: list[Fault] = [reset]
    answer = says(NUMBERS)
    with (
        Carrier(lambda asked: faults.pop() if faults else answer(asked)) as carrier,
        https(certificate, carrier.url) as front,
    ):
        environ.setenv("HTTPS_PROXY", front.environ["HTTPS_PROXY"])
        assert ask()
        assert front.hosts == [f"{HOST}:443"] * 2


def test_folder_of_certificates_is_taken(
    environ: pytest.MonkeyPatch, certificate: Path, tmp_path: Path
) -> None:
    # by the hash of their subjects: https://docs.openssl.org/3.0/man1/openssl-rehash/
    hashed = subprocess.check_output(
        ["openssl", "x509", "-noout", "-subject_hash", "-in", certificate], text=True
    )
    (tmp_path / f"{hashed.strip()}.0").write_bytes(certificate.read_bytes())
    environ.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert ask()


def test_nobody_elses_certificate_is_taken(environ: pytest.MonkeyPatch) -> None:
    environ.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(ProviderError, match=r"^TLS failed: self-signed certificate$"):
        ask()


def test_certificate_for_another_host_is_not_taken() -> None:
    with pytest.raises(ProviderError, match=r"^TLS failed: no alternative certificate") as caught:
        ask("other.example.com")
    assert "other.example.com" not in str(caught.value)


def test_certificates_of_ssl_cert_file_are_taken(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("SSL_CERT_FILE", os.environ["REQUESTS_CA_BUNDLE"])
    environ.delenv("REQUESTS_CA_BUNDLE")
    assert ask()


def test_missing_file_of_certificates_is_named(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(ProviderError, match="SSL_CERT_FILE: no certificates in /nowhere"):
        ask()
