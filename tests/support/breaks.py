"""Ways in which a signature breaks between HubSpot and the service, and what is to be said of each.

    .venv/bin/python -m tests.support.breaks

prints them as a table, made by `flask webhook explain`.
"""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpdesk_numbers.webhook import PATH
from hubspot.signature import (
    OLD_HEADER,
    OLD_VERSION_HEADER,
    TIMESTAMP_HEADER,
    V3_HEADER,
    Version,
    sign,
    signed_headers,
)
from tests.support.server import ROOT, environ

SECRET = "not-a-real-client-secret"
HOST = "numbers.example.com"
URL = f"https://{HOST}{PATH}"
BODY = b'{"appId":54321,"portalId":62515,"userId":12345}'
NOW_MS = 1790000001000
NOW = str(NOW_MS)

PUBLIC = f"set PUBLIC_URL=https://{HOST}"
REGISTER = f"flask channel-connection update --url https://{HOST}{PATH}"
BYTES = "let it pass the bytes untouched"
QUERY = "something in front changes the query"
ESCAPES = "something in front rewrites the URL"
HEADERS = "let it pass"
TIME = f"let {TIMESTAMP_HEADER} pass untouched"
SIGNER = "whoever signs"
VERSIONS = "HUBSPOT_SIGNATURE_VERSIONS"
WRONG_SECRET = "copy the client secret from the app's Auth page"
ALTERED = "the signature header was altered"
REWRITTEN = "the body was parsed and written anew on the way"
PRETTY = json.dumps(json.loads(BODY), indent=2).encode()


@dataclass(frozen=True)
class Break:
    """What HubSpot signed, what arrived of it, and what has to be said of the difference."""

    name: str
    cause: str
    remedy: str
    live: bool = True  # whether the service's own log line can say it as well
    signed: str = URL
    arrived: str = ""  # as signed
    sent: bytes = BODY
    body: bytes | None = None  # as sent
    version: Version = "v3"
    timestamp: str = NOW
    secret: str = SECRET
    secrets: tuple[str, ...] = (SECRET,)
    accepted: tuple[Version, ...] = ("v3",)
    headers: Mapping[str, str | None] = field(default_factory=dict)  # None: lost
    raw: Mapping[str, Any] = field(default_factory=dict)  # for RefusedRequest
    method: str = "POST"
    signed_as_is: bool = False

    @property
    def arrived_url(self) -> str:
        return self.arrived or self.signed

    @property
    def arrived_body(self) -> bytes:
        return self.sent if self.body is None else self.body

    def arrived_headers(self) -> dict[str, str]:
        now_ms = int(self.timestamp) if self.timestamp.isdecimal() else NOW_MS
        made = signed_headers(self.version, self.secret, "POST", self.signed, self.sent, now_ms)
        if self.version == "v3":
            made[TIMESTAMP_HEADER] = self.timestamp
            text = self.timestamp
            made[V3_HEADER] = sign("v3", self.secret, "POST", self.signed, self.sent, text)
            if self.signed_as_is:
                source = f"POST{self.signed}".encode() + self.sent + text.encode()
                made[V3_HEADER] = sign("v3", self.secret, "", "", source)
        return {k: v for k, v in {**made, **self.headers}.items() if v is not None}


def _v3(url: str = URL, body: bytes = BODY) -> str:
    return sign("v3", SECRET, "POST", url, body, NOW)


_PLUS = next(f"{URL}?n={n}" for n in range(99) if "+" in _v3(f"{URL}?n={n}")[1:])
_V1 = sign("v1", SECRET, "POST", URL, BODY)
_V2 = sign("v2", SECRET, "POST", URL, BODY)
_BESIDE_V1 = {OLD_HEADER: _V1, OLD_VERSION_HEADER: "v1"}

BREAKS = [
    # The base URL.
    Break("http for https", "http for https", PUBLIC, arrived=f"http://{HOST}{PATH}"),
    Break("https for http", "https for http", f"set PUBLIC_URL=http://{HOST}",
          signed=f"http://{HOST}{PATH}", arrived=URL),
    Break("a tunnel rewrites Host", f"another host (localhost:8000 for {HOST})", PUBLIC,
          arrived=f"https://localhost:8000{PATH}",
          headers={"Host": "localhost:8000", "X-Forwarded-Host": HOST}),
    Break("a proxy tells the host by RFC 7239", f"another host (internal for {HOST})", PUBLIC,
          arrived=f"https://internal{PATH}",
          headers={"Forwarded": f'for=192.0.2.1;host="{HOST}";proto=https'}),
    Break("PUBLIC_URL names an old host", f"another host (old.example.com for {HOST})", PUBLIC,
          arrived=f"https://old.example.com{PATH}", headers={"Host": HOST}),
    Break("a port is added", f"another host ({HOST}:8443 for {HOST})", PUBLIC,
          arrived=f"https://{HOST}:8443{PATH}"),
    Break("the default port is lost", f"another host ({HOST} for {HOST}:443)", PUBLIC + ":443",
          signed=f"https://{HOST}:443{PATH}", arrived=URL),
    Break("a port is lost, and told", f"another host ({HOST} for {HOST}:8443)", PUBLIC + ":8443",
          signed=f"https://{HOST}:8443{PATH}", arrived=URL,
          headers={"X-Forwarded-Port": "8443"}),
    Break("PUBLIC_URL has capitals", "another host (Numbers.Example.com", PUBLIC,
          arrived=f"https://Numbers.Example.com{PATH}"),
    Break("an unnamed host, but registered", f"another host (localhost for {HOST})", PUBLIC,
          live=False, arrived=f"https://localhost{PATH}", raw={"others": (URL,)}),
    # The path.
    Break("slash lost", "a trailing slash was lost on the way", REGISTER, signed=URL + "/",
          arrived=URL),
    Break("slash added", "a trailing slash was added on the way", "have the proxy add none",
          arrived=URL + "/"),
    Break("doubled slash merged", "a doubled slash was merged on the way", REGISTER,
          signed=f"https://{HOST}/{PATH}", arrived=URL),
    Break("slash doubled", "a slash was doubled", REGISTER, arrived=f"https://{HOST}/{PATH}"),
    Break("prefix stripped, and told", "another path prefix (none for /crm)", f"{PUBLIC}/crm",
          signed=f"https://{HOST}/crm{PATH}", arrived=URL, headers={"X-Forwarded-Prefix": "/crm"}),
    Break("a gateway's stage stripped", "another path prefix (none for /prod)", f"{PUBLIC}/prod",
          live=False, signed=f"https://{HOST}/prod{PATH}", arrived=URL),
    Break("PUBLIC_URL has a prefix too much", "another path prefix (/crm for none)", PUBLIC,
          arrived=f"https://{HOST}/crm{PATH}"),
    Break("path rewritten, and told", f"another path or query ({PATH} for /numbers)",
          "let it pass path and query untouched", signed=f"https://{HOST}/numbers", arrived=URL,
          headers={"X-Original-URI": "/numbers"}),
    Break("path encoded", "the URL was encoded on the way", ESCAPES,
          arrived=f"https://{HOST}/%68ubspot/phone-numbers"),
    Break("path decoded", "the URL was decoded on the way", ESCAPES,
          signed=f"https://{HOST}/my%20crm{PATH}", arrived=f"https://{HOST}/my crm{PATH}"),
    # The query.
    Break("query decoded", "the URL was decoded on the way", ESCAPES,
          signed=f"{URL}?team=a%20b&u=%C3%A9", arrived=f"{URL}?team=a b&u=é"),
    Break("query decoded, as a server shows bytes", "the URL was decoded on the way", ESCAPES,
          signed=f"{URL}?u=%C3%A9", arrived=f"{URL}?u=\xc3\xa9"),
    Break("query encoded again", "the URL was encoded on the way", ESCAPES,
          signed=f"{URL}?team=a%20b%3A", arrived=f"{URL}?team=a%2520b%253A"),
    Break("escapes in upper case", "the URL's escapes were rewritten", ESCAPES,
          signed=f"{URL}?u=%c3%a9", arrived=f"{URL}?u=%C3%A9"),
    Break("escapes in lower case", "the URL's escapes were rewritten", ESCAPES,
          signed=f"{URL}?u=%C3%A9", arrived=f"{URL}?u=%c3%a9"),
    Break("%20 to +", "spaces in the query were rewritten", ESCAPES,
          signed=f"{URL}?team=a%20b", arrived=f"{URL}?team=a+b"),
    Break("+ to %20", "spaces in the query were rewritten", ESCAPES,
          signed=f"{URL}?team=a+b", arrived=f"{URL}?team=a%20b"),
    Break("signed undecoded", "HubSpot's own escapes were signed undecoded", "decode them first",
          signed=f"{URL}?to=%3Ax", signed_as_is=True),
    Break("v2 signs escapes as they are, and http", "http for https", PUBLIC, version="v2",
          accepted=("v3", "v2"), signed=f"{URL}?to=%3Ax", arrived=f"http://{HOST}{PATH}?to=%3Ax"),
    Break("query dropped, and told", "another path or query",
          "let it pass path and query untouched", signed=f"{URL}?team=7", arrived=URL,
          headers={"X-Forwarded-Uri": f"{PATH}?team=7"}),
    Break("query dropped, but registered", "another path or query",
          "let it pass path and query untouched", live=False, signed=f"{URL}?team=7", arrived=URL,
          raw={"others": (f"{URL}?team=7",)}),
    Break("query dropped, v1 beside", "HubSpot signed another URL",
          "flask channel-connection show", signed=f"{URL}?team=7", arrived=URL, headers=_BESIDE_V1),
    Break("query added", "a query was added on the way", QUERY, arrived=f"{URL}?trace=1"),
    Break("parameter added", "a query was added on the way", QUERY,
          signed=f"{URL}?a=1&b=2", arrived=f"{URL}?a=1&b=2&trace=1&span=2"),
    Break("empty query lost", "an empty query was dropped on the way", QUERY,
          signed=URL + "?", arrived=URL),
    Break("query sorted", "the query was put in another order", QUERY,
          signed=f"{URL}?c=3&a=1&b=2", arrived=f"{URL}?a=1&b=2&c=3"),
    # The body.
    Break("body with spaces", REWRITTEN, BYTES, body=json.dumps(json.loads(BODY)).encode()),
    Break("body without spaces", REWRITTEN, BYTES, sent=json.dumps(json.loads(BODY)).encode(),
          body=BODY),
    Break("body indented", REWRITTEN, BYTES, body=PRETTY),
    Break("body's keys in another order", REWRITTEN, BYTES,
          body=b'{"userId": 12345, "appId": 54321, "portalId": 62515}'),
    Break("body's keys sorted", REWRITTEN, BYTES, live=False,
          sent=b'{"userId":12345,"portalId":62515,"appId":54321}', body=BODY),
    Break("ids as texts", REWRITTEN, BYTES,
          body=b'{"appId":"54321","portalId":"62515","userId":"12345"}'),
    Break("ids as floats", REWRITTEN, BYTES,
          body=b'{"appId":54321.0,"portalId":62515.0,"userId":12345.0}'),
    Break("body as a JSON text", REWRITTEN, BYTES, body=json.dumps(BODY.decode()).encode()),
    Break("body's letters escaped", REWRITTEN, BYTES, live=False,
          sent='{"appId":1,"portalId":2,"userId":3,"name":"Zoë"}'.encode(),
          body=b'{"appId":1,"portalId":2,"userId":3,"name":"Zo\\u00eb"}'),
    Break("body in Base64", "the body was encoded anew", "converts the body",
          sent=BODY + b" ", body=base64.b64encode(BODY + b" ")),
    Break("byte order mark added", "the body was encoded anew", "converts the body",
          body=b"\xef\xbb\xbf" + BODY),
    Break("line ends changed", "the body was encoded anew", "converts the body",
          sent=PRETTY, body=PRETTY.replace(b"\n", b"\r\n")),
    Break("line end added", "white space around the body", BYTES, body=BODY + b"\n"),
    Break("line end lost", "white space around the body", BYTES, sent=BODY + b"\n", body=BODY),
    Break("body lost", "the body is missing", "something in front drops it", body=b""),
    Break("body cut", "the body is not the one that was sent (Content-Length 47", "to the byte",
          body=BODY[:20], headers={"Content-Length": str(len(BODY))}),
    # The secret.
    Break("wrong secret", "wrong secret", WRONG_SECRET, secrets=("another",)),
    Break("two wrong secrets", "wrong secret", WRONG_SECRET, secrets=("another", "one")),
    Break("secret in quotes", "the secret has quotes around it", "HUBSPOT_CLIENT_SECRET",
          secrets=(f'"{SECRET}"',)),
    Break("forged", "wrong secret", "forged", body=BODY.replace(b"62515", b"62516")),
    # Time.
    Break("stale", "the timestamp is 600 s old", "set it by NTP", timestamp=str(NOW_MS - 600_000)),
    Break("from the future", "the timestamp is 600 s in the future", "set it by NTP",
          timestamp=str(NOW_MS + 600_000)),
    Break("in seconds", "the timestamp is in seconds", "in milliseconds", timestamp=NOW[:-3]),
    Break("in microseconds", "the timestamp is in microseconds", "in milliseconds",
          timestamp=NOW + "000"),
    Break("signed as a float", "the timestamp is not a whole number", SIGNER, timestamp=NOW + ".0"),
    Break("turned into a float", "the timestamp was rewritten on the way", TIME,
          headers={TIMESTAMP_HEADER: NOW + ".0"}),
    Break("turned into an exponent", "the timestamp was rewritten on the way", TIME,
          headers={TIMESTAMP_HEADER: "1.790000001e+12"}),
    Break("turned into seconds", "the timestamp was rewritten on the way", TIME,
          timestamp="1790000001789", headers={TIMESTAMP_HEADER: NOW[:-3]}),
    Break("turned into a date", "the timestamp was rewritten on the way", TIME,
          headers={TIMESTAMP_HEADER: "Mon, 21 Sep 2026 14:13:21 GMT"}),
    Break("timestamp changed, v2 beside", "the timestamp was changed on the way", HEADERS,
          headers={TIMESTAMP_HEADER: str(NOW_MS + 7), OLD_HEADER: _V2, OLD_VERSION_HEADER: "v2"}),
    Break("timestamp lost", "the timestamp header is missing", HEADERS,
          headers={TIMESTAMP_HEADER: None}),
    # The signature's version and header.
    Break("v2 not accepted", "signed with v2, which is not accepted", f"add v2 to {VERSIONS}",
          version="v2"),
    Break("v1 not accepted", "signed with v1, which is not accepted", f"add v1 to {VERSIONS}",
          version="v1"),
    Break("v3 not accepted", "signed with v3, which is not accepted", f"add v3 to {VERSIONS}",
          accepted=("v2",)),
    Break("v2 in v3's header", "a v2 signature arrived as v3", f"{OLD_VERSION_HEADER}: v2",
          headers={V3_HEADER: _V2}),
    Break("v1 in v3's header, no time", "a v1 signature arrived as v3", f"{OLD_VERSION_HEADER}: v1",
          headers={V3_HEADER: _V1, TIMESTAMP_HEADER: None}),
    Break("v1 named v2", "a v1 signature arrived as v2", f"{OLD_VERSION_HEADER}: v1",
          version="v1", headers={OLD_VERSION_HEADER: "v2"}, accepted=("v1", "v2")),
    Break("v2 named v1", "a v2 signature arrived as v1", f"{OLD_VERSION_HEADER}: v2",
          version="v2", headers={OLD_VERSION_HEADER: "v1"}, accepted=("v1", "v2")),
    Break("v3 in the old header", "a v3 signature arrived as v2", V3_HEADER,
          headers={V3_HEADER: None, OLD_HEADER: _v3(), OLD_VERSION_HEADER: "v2"}),
    Break("v2 without its name", f"{OLD_VERSION_HEADER} does not name the version", SIGNER,
          version="v2", headers={OLD_VERSION_HEADER: None}, accepted=("v2",)),
    Break("v3 lost beside v1", f"{V3_HEADER} did not arrive", HEADERS,
          headers={V3_HEADER: None, **_BESIDE_V1}),
    Break("no signature", "no signature header arrived", HEADERS, headers={V3_HEADER: None}),
    Break("empty signature", "the signature header is empty", HEADERS, headers={V3_HEADER: ""}),
    Break("signature cut short", "the signature header does not hold a signature",
          "something in front cuts", headers={V3_HEADER: _v3()[:30]}),
    Break("+ to a space", ALTERED, HEADERS, signed=_PLUS,
          headers={V3_HEADER: _v3(_PLUS).replace("+", " ")}),
    Break("signature escaped", ALTERED, HEADERS,
          headers={V3_HEADER: _v3().replace("=", "%3D").replace("/", "%2F").replace("+", "%2B")}),
    Break("signature in quotes", ALTERED, HEADERS, headers={V3_HEADER: f'"{_v3()}"'}),
    Break("padding lost", ALTERED, HEADERS, headers={V3_HEADER: _v3().rstrip("=")}),
    Break("signature twice", "the signature header was sent twice", "let it pass as it comes",
          headers={V3_HEADER: f"{_v3()}, {_v3()}"}),
    Break("signature twice, in quotes", f"the signature header was sent twice and {ALTERED}",
          "let it pass as it comes", headers={V3_HEADER: f'"{_v3()}","{_v3()}"'}),
    Break("timestamp twice", "the timestamp header was sent twice", "let it pass as it comes",
          headers={TIMESTAMP_HEADER: f"{NOW},{NOW}"}),
    Break("both twice",
          "the timestamp header was sent twice and the signature header was sent twice",
          "let it pass as it comes",
          headers={V3_HEADER: f"{_v3()},{_v3()}", TIMESTAMP_HEADER: f"{NOW},{NOW}"}),
    Break("hexadecimal in upper case", ALTERED, HEADERS, version="v2", accepted=("v2",),
          headers={OLD_HEADER: _V2.upper()}),
    # Nothing, and several at once.
    Break("nothing", "nothing: the signature is valid", "another cause"),
    Break("nothing, with the second secret", "nothing: the signature is valid", "another cause",
          secrets=("new", SECRET)),
    Break("nothing, with v2", "nothing: the signature is valid", "another cause", version="v2",
          accepted=("v3", "v2"), signed=f"{URL}?to=%3Ax%20"),
    Break("http and another host", f"http for https and another host (localhost:8000 for {HOST})",
          PUBLIC, arrived=f"http://localhost:8000{PATH}", headers={"X-Forwarded-Host": HOST}),
    Break("http and slash", "http for https and a trailing slash was lost on the way",
          f"{PUBLIC} (or, without it, TRUSTED_PROXIES to the number of proxies that set"
          f" X-Forwarded-Proto); register exactly the URL that arrives: {REGISTER}",
          signed=URL + "/", arrived=f"http://{HOST}{PATH}"),
    Break("http, host and slash",
          f"http for https and another host (localhost for {HOST}) and a trailing slash was lost",
          PUBLIC, signed=URL + "/", arrived=f"http://localhost{PATH}",
          headers={"X-Forwarded-Host": HOST}),
    Break("http and stale", "http for https and the timestamp is 600 s old", PUBLIC,
          arrived=f"http://{HOST}{PATH}", timestamp=str(NOW_MS - 600_000)),
    Break("http and body written anew", f"http for https and {REWRITTEN}", BYTES, live=False,
          arrived=f"http://{HOST}{PATH}", body=PRETTY),
    Break("v2 not accepted, and http", "http for https", PUBLIC, version="v2",
          arrived=f"http://{HOST}{PATH}"),
]  # fmt: skip


def as_file(broken: Break) -> dict[str, Any]:
    """The break as `flask webhook explain` reads it."""
    return {
        "method": broken.method,
        "url": broken.arrived_url,
        "headers": broken.arrived_headers(),
        "body": broken.arrived_body.decode(),
        "receivedAt": NOW_MS,
    }


def explained(broken: Break) -> dict[str, str]:
    """What the command says of it."""
    settings = {
        "FLASK_SKIP_DOTENV": "1",
        "HUBSPOT_CLIENT_SECRET": ",".join(broken.secrets),
        "HUBSPOT_SIGNATURE_VERSIONS": ",".join(broken.accepted),
    }
    registered = [f"--registered-url={url}" for url in broken.raw.get("others", ())]
    done = subprocess.run(
        [str(Path(sys.executable).parent / "flask"), "webhook", "explain", "--json", *registered],
        cwd=ROOT, env=environ(settings), input=json.dumps(as_file(broken)),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _print_table() -> None:
    print("| break | cause | remedy |\n|---|---|---|")
    for broken in BREAKS:
        found = explained(broken)
        right = "" if broken.cause in found["cause"] else " **not as expected**"
        cells = (broken.name, found["cause"] + right, found["remedy"])
        print(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")


if __name__ == "__main__":
    _print_table()
