"""Requests that HubSpot did not sign, in every shape that a stranger may think of.

    python -m tests.support.forgeries [COUNT [SEED]]

sends so many to a server with two workers, and prints how they were answered.
"""

import os
import random
import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from helpdesk_numbers.webhook import PATH
from hubspot.signature import signed_headers
from tests.support.asking import SECRET
from tests.support.server import Server, serving
from tests.support.strangers import SETTINGS, processes

BODY = b'{"appId": 1, "portalId": 62515, "userId": 1001}'
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x.example\r\n\r\n"
SIGNATURE, TIMESTAMP = "X-HubSpot-Signature-v3", "X-HubSpot-Request-Timestamp"

Fields = list[tuple[str, str]]


class Draft:
    """A request that would be accepted, until something is changed about it."""

    def __init__(self, host: str, chance: random.Random) -> None:
        self.chance, self.host = chance, host
        self.method, self.target, self.version = "POST", PATH, "HTTP/1.1"
        self.body, self.framing, self.rest = BODY, [f"Content-Length: {len(BODY)}"], b""
        self.now_ms = time.time_ns() // 10**6
        self.fields: Fields = []
        self.sign()

    def sign(self, url: str = "", secret: str = SECRET, body: bytes | None = None) -> None:
        """Sign it anew, perhaps for something else."""
        signed = body if body is not None else self.body
        url = url or f"http://{self.host}{self.target}"
        made = signed_headers("v3", secret, self.method, url, signed, self.now_ms)
        self.fields = list(made.items())

    def set(self, name: str, value: str) -> None:
        """Replace a header of the signature."""
        self.fields = [(key, value if key == name else old) for key, old in self.fields]

    def get(self, name: str) -> str:
        return dict(self.fields)[name]

    def bytes(self) -> bytes:
        """The request as it is sent."""
        lines = [
            f"{self.method} {self.target} {self.version}",
            f"Host: {self.host}",
            "Content-Type: application/json",
            *self.framing,
            *(f"{name}: {value}" for name, value in self.fields),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body + self.rest


def wrong_signature(draft: Draft) -> None:
    right, chance = draft.get(SIGNATURE), draft.chance
    at = chance.randrange(len(right) - 2)
    other = chance.choice([c for c in "ABCwxyz019+/=\xe9 \t,;" if c != right[at]])
    wrong = [
        "", "=", "undefined", right[:-1], right[1:], right.swapcase(), right * 2, f'"{right}"',
        f"{right},{right}", f"sha256={right}", right.replace("=", "%3D"), "\xb2" * 44,
        right[:at] + other + right[at + 1 :], "A" * 5000, right + "\xa0",
    ]  # fmt: skip
    draft.set(SIGNATURE, chance.choice([one for one in wrong if one != right]))


def wrong_timestamp(draft: Draft) -> None:
    now, chance = draft.now_ms, draft.chance
    if chance.random() < 0.5:  # rightly signed, but not now
        draft.now_ms += chance.choice([-1, 1]) * chance.randrange(310_000, 10**12)
        draft.sign()
    else:
        wrong = [
            "", "0", "-1", str(now // 1000), f"{now}.0", f"+{now}", f"0{now}", f"{now},{now}",
            f"{now}e0", hex(now), f"{now} {now}", "9" * 400, "NaN", "\xb2" * 13, f"{now + 1}",
        ]  # fmt: skip
        draft.set(TIMESTAMP, chance.choice(wrong))


def wrong_secret(draft: Draft) -> None:
    draft.sign(secret=draft.chance.choice(["", SECRET[:-1], SECRET + " ", SECRET.upper(), "x"]))


def wrong_headers(draft: Draft) -> None:
    (first, second), chance = draft.fields, draft.chance
    name, value = chance.choice(draft.fields)
    others = [field for field in draft.fields if field[0] != name]
    draft.fields = chance.choice(
        [
            others,
            [*draft.fields, (name, value)],
            [*draft.fields, (name, "x")],
            [("X", value), *others],
            [(name.replace("-", "_"), value), *others],
            [(name + " ", value), *others],
            [(" " + name, value), *others],
            [(name, value + "\r\n x"), *others],
            [(name, "\r\n " + value), *others],
            [(name, value[:4] + "\0" + value[4:]), *others],
            [(name, value[:4] + "\r" + value[4:]), *others],
            [(name, value[:4] + "\n" + value[4:]), *others],
            [("X-HubSpot-Signature", second[1]), ("X-HubSpot-Signature-Version", "v3"), *others],
            [(f"X-{number}", "1") for number in range(150)] + [first, second],
            [("X-Long", "x" * chance.choice([8_000, 9_000, 70_000, 120_000])), *others],
        ]
    )


def older_version(draft: Draft) -> None:
    version = draft.chance.choice(["v1", "v2"])
    url = f"http://{draft.host}{PATH}"
    made = signed_headers(version, SECRET, "POST", url, BODY, draft.now_ms)  # type: ignore[arg-type]
    draft.fields = list(made.items())


def wrong_target(draft: Draft) -> None:
    host, chance = draft.host, draft.chance
    draft.target = chance.choice(
        [
            PATH + "?", PATH + "/", PATH + "?userId=1", PATH + "#x", "/" + PATH, PATH + "%20",
            PATH.replace("p", "%70"), "/." + PATH, "/x/.." + PATH, PATH + ";x", PATH + "\\",
            PATH.upper(), "*", "http:" + PATH, f"http://{host}", f"http://{host}/x{PATH}",
            f"http://evil.example/?{PATH}", f"//{host}{PATH}", host, "/" + "x" * 5000, "/\xe9",
            "http://[" + PATH, "http://]" + PATH, "://" + PATH, PATH + "?x=\xff", PATH + "?%",
        ]
    )  # fmt: skip


def wrong_host(draft: Draft) -> None:
    draft.sign(f"{draft.chance.choice(['https', 'http'])}://evil.example{PATH}")
    if draft.chance.random() < 0.5:
        draft.fields.append(("X-Forwarded-Host", "evil.example"))
    if draft.chance.random() < 0.5:
        draft.target = f"http://evil.example{PATH}"
    if draft.chance.random() < 0.3:
        draft.fields.append(("Host", "evil.example"))


def wrong_method(draft: Draft) -> None:
    draft.method = draft.chance.choice(
        ["GET", "PUT", "post", "POST\t", "PRI", "CONNECT", "OPTIONS", "HEAD", "TRACE", "", "X" * 30]
    )


def wrong_version(draft: Draft) -> None:
    draft.version = draft.chance.choice(
        ["HTTP/0.9", "HTTP/2.0", "HTTP/1.1 ", "HTTP/1.", "", "HTTP/11", "ICY", "http/1.1"]
    )


def wrong_body(draft: Draft) -> None:
    chance, body = draft.chance, draft.body
    at = chance.randrange(len(body))
    draft.body = chance.choice(
        [
            body + b" ", b" " + body, b"\xef\xbb\xbf" + body, body.replace(b" ", b""), b"",
            body.replace(b"1001", b"1002"), body[:at] + b"\0" + body[at + 1 :],
            b"{" * 60_000, b"[" * 5_000, b"\xff" * 100, b"1" * 5_000, body * 2,
        ]
    )  # fmt: skip
    draft.framing = [f"Content-Length: {len(draft.body)}"]


def wrong_length(draft: Draft) -> None:
    length, chance = len(BODY), draft.chance
    draft.framing = chance.choice(
        [
            [f"Content-Length: {wrong}"]
            for wrong in (
                "", "-1", f"+{length}", hex(length), f"{length},{length}", f"{length} 0", "1e2",
                f"{length}.0", "\xb2", "9" * 30, "9" * 6000, "1_0", f"{length - 1}", "70000",
                f"{length + 500}", "0", "1000000000",
            )
        ]
        + [
            [], [f"Content-Length: {length}", f"Content-Length: {length}"],
            [f"Content-Length: {length}", "Content-Length: 0"], ["Content_Length: 5"],
            [f"Content-Length : {length}"], ["X: 1", f" Content-Length: {length}"],
            [f"Content-Length:\r\n {length}"], [f"Content-Length: {length}\r"],
            [f"Content-Length: {length}", CHUNKED], [CHUNKED, f"Content-Length: {length}"],
        ]
    )  # fmt: skip
    draft.rest = chance.choice([b"", SMUGGLED, draft.bytes()[:40]])
    if chance.random() < 0.5:
        wrong_signature(draft)
    elif str(length) in "".join(draft.framing):
        draft.fields = []  # lest it is accepted by a server that is more lenient


CHUNKED = "Transfer-Encoding: chunked"


def wrong_chunks(draft: Draft) -> None:
    chance = draft.chance
    size = b"%x" % len(BODY)
    coding = chance.choice(
        ["chunked", "Chunked", "chunked, chunked", "identity", "gzip, chunked", "gzip", "xchunked",
         "chunked;q=1", "\x0bchunked", "", "chunked,", "identity, chunked"]
    )  # fmt: skip
    draft.framing = [f"Transfer-Encoding: {coding}"] * chance.choice([1, 1, 1, 2])
    draft.version = chance.choice(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0"])
    first = chance.choice(
        [size, b"0x" + size, b"+" + size, b"-" + size, b"-6", b"-8", size + b" ", b" " + size,
         size + b";a=b", size + b';a="\r\n"', size + b";\rb", b"0" * 20 + size, b"f" * 9, b"1_0",
         b"", size.upper(), size + b"\n", size + b";" + b"x" * 9_000, b"ffffffffffffffff"]
    )  # fmt: skip
    last = chance.choice([b"0", b"00", b"-0", b"0;a", b"+0", b"0x0", b"", b"g"])
    trailers = chance.choice(
        [b"", b"X: 1\r\n", b"Content-Length: 5\r\n", b"bad\r\n", b"X: 1\n", b" X: 1\r\n",
         "".join(f"{name}: {value}\r\n" for name, value in draft.fields).encode("latin-1")]
    )  # fmt: skip
    end = chance.choice([b"\r\n", b"\r\n", b"\n", b""])
    draft.body = first + b"\r\n" + BODY + b"\r\n" + last + b"\r\n" + trailers + end
    draft.rest = chance.choice([b"", SMUGGLED, SMUGGLED[:20]])
    if trailers.startswith(b"X-HubSpot"):
        draft.fields = []
    else:
        wrong_signature(draft)


def garbage(draft: Draft) -> None:
    chance = draft.chance
    draft.bytes = lambda: chance.choice(  # type: ignore[method-assign]
        [
            chance.randbytes(chance.randrange(1, 300)),
            b"\r\n" * chance.randrange(1, 5) + SMUGGLED,
            b"\n\n" + SMUGGLED,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + SMUGGLED,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(200),
            SMUGGLED.replace(b"\r\n", b"\n"),
            b"GET /healthz\r\n\r\n",
            SMUGGLED * chance.randrange(1, 20),
        ]
    )


KINDS: tuple[Callable[[Draft], None], ...] = (
    wrong_signature, wrong_timestamp, wrong_secret, wrong_headers, older_version, wrong_target,
    wrong_host, wrong_method, wrong_version, wrong_body, wrong_length, wrong_chunks, garbage,
)  # fmt: skip


def forgeries(host: str, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Return so many, each with the name of its kind; some come several at once, pipelined."""
    chance = random.Random(seed)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        draft = Draft(host, chance)
        kind(draft)
        if chance.random() < 0.1 and kind is not garbage:
            wrong_secret(draft)
        sent = draft.bytes()
        yield kind.__name__, sent * (chance.randrange(2, 5) if chance.random() < 0.1 else 1)


_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


def answer_to(port: int, sent: bytes) -> tuple[list[int], bytes]:
    """The statuses of the answers to these bytes, after which we say no more; and all of them."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        got = bytearray()
        with suppress(ConnectionError):  # it was refused before all was sent
            connection.sendall(sent)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65_536):
                got += data
    return [int(status) for status in _STATUS.findall(got)], bytes(got)


def send_all(server: Server, count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Send them; return how they were answered, and those that were accepted or brought a 5xx."""
    port, lock = int(server.url.rpartition(":")[2]), threading.Lock()
    made = forgeries(f"127.0.0.1:{port}", count, seed)
    answers: Counter[str] = Counter()
    bad: list[str] = []

    def send() -> None:
        while True:
            with lock:
                kind, sent = next(made, ("", b""))
            if not kind:
                return
            statuses, got = answer_to(port, sent)
            if b"phoneNumbers" in got or any(status >= 500 for status in statuses):
                bad.append(f"{kind}: {sent[:2000]!r} -> {got[:500]!r}")
            with lock:
                answers.update(map(str, statuses) if statuses else ["closed"])

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(send) for _ in range(6)]:
            done.result()
    return answers, bad


def processor_s(server: Server) -> float:
    """Processor time of all the server's processes so far."""
    ticks = 0
    for pid in processes(server):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main(count: int, seed: int) -> None:
    """Run the bar."""
    with serving(SETTINGS) as server:
        time.sleep(1)
        before, began, busy = processes(server), time.monotonic(), processor_s(server)
        answers, bad = send_all(server, count, seed)
        busy, took = processor_s(server) - busy, time.monotonic() - began
        print(f"{count} forgeries (seed {seed}) in {took:.0f} s: {dict(sorted(answers.items()))}")
        print(f"processor time of the server: {busy / count * 1000:.2f} ms each")
        print(f"same processes: {before == processes(server)}; accepted or 5xx: {len(bad)}")
        for one in bad[:20]:
            print(one)


if __name__ == "__main__":
    arguments = [int(one) for one in sys.argv[1:3]]
    main(arguments[0] if arguments else 100_000, arguments[1] if arguments[1:] else 1)
