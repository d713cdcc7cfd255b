"""The certificates that we trust, in a folder that OpenSSL finds them in."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from ssl import PEM_cert_to_DER_cert

import certifi
import pytest

from providers.base.trust import Trusted, subject_hash, trusted
from providers.testing import Carrier
from tests.support.carrier import says
from tests.support.https import https, make_certificate
from tests.test_providers_tls import NUMBERS, ask

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")

ROOT = Path(__file__).parent.parent
BEGIN = "-----BEGIN CERTIFICATE-----\n"
END = "-----END CERTIFICATE-----\n"
TEXTS = {"UTF8": 0x2000, "BMP": 0x800, "T61": 0x4, "PRINTABLE": 0x2, "IA5": 0x10}
"""ASN.1's types of text, as OpenSSL's `string_mask` has them."""


def by_openssl(certificate: str) -> str:
    command = ["openssl", "x509", "-noout", "-subject_hash"]
    return subprocess.check_output(command, input=certificate, text=True).strip()


def of(folder: Path, subject: str, *, mask: int = 0x2000) -> str:
    """A certificate for this subject, in PEM."""
    config = folder / "openssl.cnf"
    config.write_text(
        f"[req]\nprompt = no\nstring_mask = MASK:{mask}\ndistinguished_name = name\n"
        f"[name]\n{subject}\n",
        "utf-8",
    )
    command = "openssl req -x509 -utf8 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256"
    files = "-config", config, "-keyout", folder / "key.pem"
    made = subprocess.run([*command.split(), *files], check=True, capture_output=True, text=True)
    return made.stdout


def test_hash_of_certifis_certificates_is_openssls() -> None:
    bundle = Path(certifi.where()).read_text("utf-8")
    certificates = re.findall(f"{BEGIN}.*?{END}", bundle, re.DOTALL)
    assert len(certificates) > 100
    hashes = [subject_hash(PEM_cert_to_DER_cert(text)) for text in certificates]
    assert hashes == [by_openssl(text) for text in certificates]


@pytest.mark.parametrize(
    "subject",
    [
        "CN = numbers.example.com",
        "O = \\  M\u00fcller   &  S\u00d6HNE \\ ",
        "C = DE\nO = b\n+CN = a\n+OU = aa",
        f"CN = {'x' * 64}\nO = {'Y' * 64}",
        "emailAddress = Anna@ACME.example\nDC = Example\nserialNumber = A  1",
    ],
)
@pytest.mark.parametrize("kind", ["UTF8", "BMP", "T61"])
def test_hash_of_an_odd_name_is_openssls(tmp_path: Path, subject: str, kind: str) -> None:
    certificate = of(tmp_path, subject, mask=TEXTS[kind])
    assert subject_hash(PEM_cert_to_DER_cert(certificate)) == by_openssl(certificate)


@pytest.mark.parametrize("kind", TEXTS)
def test_same_name_in_another_type_of_text_has_the_same_hash(tmp_path: Path, kind: str) -> None:
    plain = of(tmp_path, "CN = acme calling")
    other = of(tmp_path, "CN = ACME  Calling", mask=TEXTS[kind])
    hashes = {subject_hash(PEM_cert_to_DER_cert(text)) for text in (plain, other)}
    assert hashes == {by_openssl(other)}


@pytest.mark.parametrize("length", [0, 1, 40, -1])
def test_no_certificate_has_no_hash(tmp_path: Path, length: int) -> None:
    certificate = PEM_cert_to_DER_cert(of(tmp_path, "CN = a"))
    with pytest.raises((ValueError, IndexError)):
        subject_hash(certificate[:length])


# How carriers' certificates are checked by it


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, certificate: Path, tmp_path: Path) -> Iterator[Path]:
    """A file of a carrier's certificate behind another one of the same name, for which we ask."""
    path = tmp_path / "bundle.pem"
    path.write_bytes(make_certificate(tmp_path).read_bytes() + certificate.read_bytes())
    with Carrier(says(NUMBERS)) as carrier, https(certificate, carrier.url) as front:
        for name, value in (front.environ | {"REQUESTS_CA_BUNDLE": str(path)}).items():
            monkeypatch.setenv(name, value)
        yield path


def test_file_is_split_once(bundle: Path) -> None:
    assert ask()
    place = trusted()
    assert place.file is None
    assert place.folder is not None
    assert len(os.listdir(place.folder)) == 1
    assert trusted() is place
    assert "PRIVATE KEY" not in "".join(path.read_text() for path in Path(place.folder).iterdir())


@pytest.mark.parametrize("whole", [True, False])
def test_folder_that_was_tidied_away_is_made_again(bundle: Path, whole: bool) -> None:
    assert ask()
    folder = trusted().folder
    assert folder is not None
    for path in Path(folder).iterdir():
        path.unlink()
    if whole:
        os.rmdir(folder)
    assert ask()


def test_file_itself_is_trusted_where_no_folder_can_be_made(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert trusted() == Trusted(str(bundle), None)
    assert ask()


def test_file_with_a_certificate_that_we_cannot_read_is_left_to_libcurl(
    bundle: Path,
) -> None:
    bundle.write_text(f"{BEGIN}MAA=\n{END}")
    assert trusted() == Trusted(str(bundle), None)


MAKE = """
import os
from providers.base.trust import trusted
folder = trusted().folder
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
assert trusted().folder == folder and os.listdir(folder)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks_share_the_folder_which_goes_when_its_maker_ends(
    bundle: Path, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)}
    subprocess.run([sys.executable, "-c", MAKE], env=environ, check=True, timeout=60)
    assert not [*scratch.iterdir()]
