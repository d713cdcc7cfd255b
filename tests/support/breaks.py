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
BODY_CHANGED = "something in front of the service changes the body"
URL_CHANGED = "something in front of the service changes the URL"
HEADERS = "something in front of the service changes headers"
TIME = f"have {TIMESTAMP_HEADER} passed on unchanged"
DROPPED = "something in front of the service drops"
SIGNER = "the sender"
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
    Break("PUBLIC_URL has a www. too much", f"another host (www.{HOST} for {HOST})", PUBLIC,
          arrived=f"https://www.{HOST}{PATH}"),
    Break("PUBLIC_URL lacks its www.", f"another host ({HOST} for www.{HOST})",
          f"set PUBLIC_URL=https://www.{HOST}", signed=f"https://www.{HOST}{PATH}", arrived=URL),
    Break("registered with capitals", f"another host ({HOST} for Numbers.Example.com)",
          "set PUBLIC_URL=https://Numbers.Example.com", arrived=URL,
          signed=f"https://Numbers.Example.com{PATH}", headers={"Host": "Numbers.Example.com"}),
    Break("an unnamed host, but registered", f"another host (localhost for {HOST})", PUBLIC,
          live=False, arrived=f"https://localhost{PATH}", raw={"others": (URL,)}),
    # The path.
    Break("slash lost", "a trailing slash was lost on the way", REGISTER, signed=URL + "/",
          arrived=URL),
    Break("slash added", "a trailing slash was added on the way", "stop the proxy from adding it",
          arrived=URL + "/"),
    Break("doubled slash merged", f"another path or query ({PATH} for /{PATH})", URL_CHANGED,
          signed=f"https://{HOST}/{PATH}", arrived=URL),
    Break("slash doubled", f"another path or query (/{PATH} for {PATH})", URL_CHANGED,
          arrived=f"https://{HOST}/{PATH}"),
    Break("prefix stripped, and told", "another path prefix (none for /crm)", f"{PUBLIC}/crm",
          signed=f"https://{HOST}/crm{PATH}", arrived=URL, headers={"X-Forwarded-Prefix": "/crm"}),
    Break("outer prefix stripped, and told", "another path prefix (/crm for /eu/crm)",
          f"{PUBLIC}/eu/crm", signed=f"https://{HOST}/eu/crm{PATH}",
          arrived=f"https://{HOST}/crm{PATH}", headers={"X-Forwarded-Prefix": "/eu/"}),
    Break("SCRIPT_NAME in PUBLIC_URL too", "the path prefix /numbers is there twice", PUBLIC,
          signed=f"https://{HOST}/numbers{PATH}", arrived=f"https://{HOST}/numbers/numbers{PATH}"),
    Break("a part of PUBLIC_URL in SCRIPT_NAME", "the path prefix /numbers is there twice",
          f"{PUBLIC}/eu", signed=f"https://{HOST}/eu/numbers{PATH}",
          arrived=f"https://{HOST}/eu/numbers/numbers{PATH}"),
    Break("PUBLIC_URL has a prefix too much", "another path prefix (/crm for none)", PUBLIC,
          arrived=f"https://{HOST}/crm{PATH}"),
    Break("path rewritten, and told", f"another path or query ({PATH} for /numbers)",
          URL_CHANGED, signed=f"https://{HOST}/numbers", arrived=URL,
          headers={"X-Original-URI": "/numbers"}),
    Break("path encoded", "another path or query (/%68ubspot", URL_CHANGED,
          arrived=f"https://{HOST}/%68ubspot/phone-numbers"),
    Break("path decoded", "another path or query (/my crm", URL_CHANGED,
          signed=f"https://{HOST}/my%20crm{PATH}", arrived=f"https://{HOST}/my crm{PATH}"),
    # The query.
    Break("query decoded", f"another path or query ({PATH}?team=…&u=… for", URL_CHANGED,
          signed=f"{URL}?team=a%20b&u=%C3%A9", arrived=f"{URL}?team=a b&u=é"),
    Break("query encoded again", f"another path or query ({PATH}?team=… for", URL_CHANGED,
          signed=f"{URL}?team=a%20b%3A", arrived=f"{URL}?team=a%2520b%253A"),
    Break("%20 to +", f"another path or query ({PATH}?team=… for", URL_CHANGED,
          signed=f"{URL}?team=a%20b", arrived=f"{URL}?team=a+b"),
    Break("+ to %20", f"another path or query ({PATH}?team=… for", URL_CHANGED,
          signed=f"{URL}?team=a+b", arrived=f"{URL}?team=a%20b"),
    Break("v2 signs escapes as they are, and http", "http for https", PUBLIC, version="v2",
          accepted=("v3", "v2"), signed=f"{URL}?to=%3Ax", arrived=f"http://{HOST}{PATH}?to=%3Ax"),
    Break("query dropped, and told", "another path or query", URL_CHANGED,
          signed=f"{URL}?team=7", arrived=URL, headers={"X-Forwarded-Uri": f"{PATH}?team=7"}),
    Break("query dropped, but registered", "another path or query", URL_CHANGED, live=False,
          signed=f"{URL}?team=7", arrived=URL, raw={"others": (f"{URL}?team=7",)}),
    Break("query added", f"another path or query ({PATH}?trace=… for {PATH})", URL_CHANGED,
          arrived=f"{URL}?trace=1"),
    # The body.
    Break("body with spaces", REWRITTEN, BODY_CHANGED, body=json.dumps(json.loads(BODY)).encode()),
    Break("body without spaces", REWRITTEN, BODY_CHANGED, body=BODY,
          sent=json.dumps(json.loads(BODY)).encode()),
    Break("body indented", REWRITTEN, BODY_CHANGED, body=PRETTY),
    Break("body's keys in another order", REWRITTEN, BODY_CHANGED,
          body=b'{"userId": 12345, "appId": 54321, "portalId": 62515}'),
    Break("line end added", "white space around the body", BODY_CHANGED, body=BODY + b"\n"),
    Break("line end lost", "white space around the body", BODY_CHANGED, body=BODY,
          sent=BODY + b"\n"),
    Break("body lost", "HubSpot sends POST with a body, not POST with 0 bytes", "register the URL",
          body=b""),
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
    Break("timestamp lost", "the timestamp header is missing", DROPPED,
          headers={TIMESTAMP_HEADER: None}),
    # The sender's own mistakes.
    Break("signed without the time", "the timestamp was not signed", SIGNER,
          headers={V3_HEADER: sign("v3", SECRET, "POST", URL, BODY)}),
    Break("signed in seconds, sent in milliseconds",
          "the timestamp was signed in seconds and sent in milliseconds", SIGNER,
          headers={V3_HEADER: sign("v3", SECRET, "POST", URL, BODY, NOW[:-3])}),
    Break("signed as a float, sent as a number", f"the timestamp was signed as {NOW}.0", SIGNER,
          headers={V3_HEADER: sign("v3", SECRET, "POST", URL, BODY, NOW + ".0")}),
    Break("hexadecimal for Base64", "the signature is not written as 44 characters of Base64",
          SIGNER, headers={V3_HEADER: base64.b64decode(_v3()).hex()}),
    Break("Base64 for hexadecimal", "the signature is not written as 64 hexadecimal digits",
          SIGNER, version="v2", accepted=("v2",),
          headers={OLD_HEADER: base64.b64encode(bytes.fromhex(_V2)).decode()}),
    Break("no time at all", "the timestamp is not a whole number", SIGNER,
          headers={V3_HEADER: sign("v3", SECRET, "POST", URL, BODY), TIMESTAMP_HEADER: None}),
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
    Break("v2 without its name", f"a v2 signature arrived without {OLD_VERSION_HEADER}", SIGNER,
          version="v2", headers={OLD_VERSION_HEADER: None}, accepted=("v2",)),
    Break("v3 lost beside v1", f"{V3_HEADER} did not arrive", DROPPED,
          headers={V3_HEADER: None, **_BESIDE_V1}),
    Break("no signature", "no signature header arrived", DROPPED, headers={V3_HEADER: None}),
    Break("empty signature", "the signature header is empty", DROPPED, headers={V3_HEADER: ""}),
    Break("signature cut short", "the signature header does not hold a HubSpot signature",
          "something in front of the service cuts", headers={V3_HEADER: _v3()[:30]}),
    Break("+ to a space", ALTERED, HEADERS, signed=_PLUS,
          headers={V3_HEADER: _v3(_PLUS).replace("+", " ")}),
    Break("signature escaped", ALTERED, HEADERS,
          headers={V3_HEADER: _v3().replace("=", "%3D").replace("/", "%2F").replace("+", "%2B")}),
    Break("signature in quotes", ALTERED, HEADERS, headers={V3_HEADER: f'"{_v3()}"'}),
    Break("padding lost", ALTERED, HEADERS, headers={V3_HEADER: _v3().rstrip("=")}),
    Break("signature twice", "the signature header was sent twice", HEADERS,
          headers={V3_HEADER: f"{_v3()}, {_v3()}"}),
    Break("signature twice, in quotes", f"the signature header was sent twice and {ALTERED}",
          HEADERS, headers={V3_HEADER: f'"{_v3()}","{_v3()}"'}),
    Break("timestamp twice", "the timestamp header was sent twice", HEADERS,
          headers={TIMESTAMP_HEADER: f"{NOW},{NOW}"}),
    Break("both twice",
          "the timestamp header was sent twice and the signature header was sent twice",
          HEADERS,
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
    Break("http and body written anew", f"http for https and {REWRITTEN}", BODY_CHANGED, live=False,
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
