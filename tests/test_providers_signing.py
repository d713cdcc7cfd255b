"""Signatures are those of the vendors' own clients, and a changed byte is noticed.

The vectors are made with PyPI botocore 1.44.8 and, Azure's, with the policy class of PyPI
azure-communication-phonenumbers 1.4.0.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.message import Message

import pytest

from providers import Refused
from providers.base.signing import AWSKey, signed_for_aws, signed_for_azure
from providers.testing import Asked
from providers.testing.signing import signed_for_aws as came_for_aws
from providers.testing.signing import signed_for_azure as came_for_azure

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)

AWS_KEY = AWSKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "connect")
AWS_URL = "https://connect.us-east-1.amazonaws.com/phone-number/list"
BODY = b'{"InstanceId":"11111111-1111-4111-8111-111111111111","MaxResults":1000}'

AZURE_KEY = "bm90IGEgcmVhbCBrZXksIHRoaXJ0eS10d28gYnl0ZXM="
AZURE_URL = (
    "https://example.communication.azure.com/phoneNumbers?skip=0&top=100&api-version=2025-06-01"
)


@pytest.mark.parametrize(
    ("token", "more", "signature"),
    [
        (None, "", "0e36b1ff005f30c5ecfef9e202648b6d8c2f6115d39a35f69670d9ec5b920015"),
        (
            "session",
            ";x-amz-security-token",
            "9e676ff16fb514f217203b83dce1a4300fdd550f5cd54fb2c04aafb453b9488f",
        ),
    ],
)
def test_aws_s_signature_is_botocore_s(token: str | None, more: str, signature: str) -> None:
    key, headers = AWS_KEY._replace(token=token), {"Content-Type": "application/json"}
    assert signed_for_aws("POST", AWS_URL, headers, BODY, key, NOON) == {
        **headers,
        "X-Amz-Date": "20261125T120000Z",
        **({"X-Amz-Security-Token": token} if token else {}),
        "Authorization": "AWS4-HMAC-SHA256 "
        "Credential=AKIDEXAMPLE/20261125/us-east-1/connect/aws4_request, "
        f"SignedHeaders=content-type;host;x-amz-date{more}, Signature={signature}",
    }


def test_azure_s_signature_is_microsoft_s() -> None:
    assert signed_for_azure("GET", AZURE_URL, {}, b"", AZURE_KEY, NOON) == {
        "x-ms-date": "Wed, 25 Nov 2026 12:00:00 GMT",
        "x-ms-content-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "Authorization": "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256"
        "&Signature=a2LdMcabco1lraq51WKDYlfalCPH1jwOTj4/luWCyjo=",
    }


@pytest.mark.parametrize("key", ["abc", "not a key", "ключ"])
def test_a_key_that_is_not_base64_is_refused(key: str) -> None:
    with pytest.raises(Refused, match="Base64"):
        signed_for_azure("GET", AZURE_URL, {}, b"", key)


# The stand-ins


def came(url: str, headers: dict[str, str], method: str, body: bytes) -> Asked:
    host, _, target = url.removeprefix("https://").partition("/")
    message = Message()
    for name, value in {"Host": host, **headers}.items():
        message[name] = value
    return Asked(f"/{target}", message, method, body)


def for_aws(method: str = "POST", body: bytes = BODY) -> Asked:
    headers = {"Content-Type": "application/json"}
    return came(
        AWS_URL, signed_for_aws(method, AWS_URL, headers, body, AWS_KEY, NOON), method, body
    )


def for_azure(method: str = "GET", body: bytes = b"") -> Asked:
    signed = signed_for_azure(method, AZURE_URL, {}, body, AZURE_KEY, NOON)
    return came(AZURE_URL, signed, method, body)


def good_for_aws(asked: Asked) -> bool:
    return came_for_aws(asked, *AWS_KEY[:4])


def good_for_azure(asked: Asked) -> bool:
    return came_for_azure(asked, AZURE_KEY)


def changed(asked: Asked) -> Iterator[tuple[str, Asked]]:
    """The request with one byte of it changed, each in turn."""
    for index, byte in enumerate(asked.body):
        body = asked.body[:index] + bytes([byte ^ 1]) + asked.body[index + 1 :]
        yield f"body, {index}", Asked(asked.target, asked.headers, asked.method, body)
    for index, character in enumerate(asked.target):
        target = asked.target[:index] + chr(ord(character) ^ 1) + asked.target[index + 1 :]
        yield f"target, {index}", Asked(target, asked.headers, asked.method, asked.body)
    yield "method", Asked(asked.target, asked.headers, "PUT", asked.body)
    for name, value in asked.headers.items():
        for index, character in enumerate(value):
            headers = Message()
            for other, given in asked.headers.items():
                headers[other] = given
            text = value[:index] + chr(ord(character) ^ 1) + value[index + 1 :]
            headers.replace_header(name, text)
            yield f"{name}, {index}", Asked(asked.target, headers, asked.method, asked.body)


@pytest.mark.parametrize(
    ("asked", "good"),
    [
        (for_aws(), good_for_aws),
        (for_azure(), good_for_azure),
        (for_azure("POST", b'{"a": 1}'), good_for_azure),
    ],
    ids=["AWS", "Azure", "Azure, POST"],
)
def test_a_changed_byte_anywhere_is_noticed(asked: Asked, good: Callable[[Asked], bool]) -> None:
    assert good(asked)
    assert not [place for place, other in changed(asked) if good(other)]


def test_spaces_of_a_header_are_signed_as_aws_reads_them() -> None:
    sparse, dense = (
        signed_for_aws("GET", AWS_URL, {"X-Kind": kind}, b"", AWS_KEY, NOON)["Authorization"]
        for kind in (" a  b ", "a b")
    )
    assert sparse == dense


def test_a_query_is_signed_in_its_order() -> None:
    """As AWS reads it: sorted, with spaces as `%20`."""
    url = f"{AWS_URL}?b=2&a=1%2F2&c=x+y&%C3%A4="
    signed = signed_for_aws("GET", url, {}, b"", AWS_KEY, NOON)
    assert good_for_aws(came(url.replace("+", "%20"), signed, "GET", b""))


def test_without_a_time_a_signature_is_of_now() -> None:
    """Both refuse one that is some minutes old."""
    before = datetime.now(UTC).replace(microsecond=0)
    aws = signed_for_aws("GET", AWS_URL, {}, b"", AWS_KEY)["X-Amz-Date"]
    azure = signed_for_azure("GET", AZURE_URL, {}, b"", AZURE_KEY)["x-ms-date"]
    for text, form in ((aws, "%Y%m%dT%H%M%SZ"), (azure, "%a, %d %b %Y %H:%M:%S GMT")):
        at = datetime.strptime(text, form).replace(tzinfo=UTC)
        assert before <= at <= datetime.now(UTC)
