"""The carrier: Twilio's listing of numbers, each page after a set delay, from one asyncio process.

    python -m benchmarks.carrier DELAY_S NUMBERS CERTIFICATE

Speaks TLS, as carriers do, with a key and its certificate from that file, and prints its URL. Every
account has the same NUMBERS, whoever asks. Pages are made once by tests/support/carrier.py, which
follows Twilio's description, and sent from memory after that, so that the carrier takes little of
the core that it shares with the load generator.

`GET /calls` tells how many pages have been asked for; `GET /hang?AC1,AC2` makes these accounts (or
`*`: all; nothing: none) take requests and say nothing.
"""

import asyncio
import json
import ssl
import sys
from email.message import Message
from functools import lru_cache
from typing import cast

from providers.base.http import basic
from providers.testing.carrier import Asked, Reply
from tests.support.carrier import TwilioAPI, twilio_numbers

numbers = twilio_numbers(int(sys.argv[2]))


class State:
    delay_s = float(sys.argv[1])
    calls = 0
    hanging: frozenset[str] = frozenset()


@lru_cache(maxsize=4096)
def page(target: str) -> bytes:
    """The answer to a request for `target`."""
    sid = target.split("/")[3]
    api = TwilioAPI()
    api.add_account(sid, "", numbers)
    headers = Message()
    for name, value in basic(sid, "").items():
        headers[name] = value
    return api(Asked(target, headers)).encoded()


class Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            self.answer(head.split(b" ", 2)[1].decode())

    def answer(self, target: str) -> None:
        if target == "/calls":
            self.transport.write(Reply({"calls": State.calls}).encoded())
        elif target.startswith("/hang"):
            State.hanging = frozenset(filter(None, target.partition("?")[2].split(",")))
            self.transport.write(Reply({}).encoded())
        else:
            State.calls += 1
            if State.hanging & {"*", target.split("/")[3]}:
                return
            if State.delay_s:
                loop = asyncio.get_running_loop()
                loop.call_later(State.delay_s, self.send, page(target))
            else:
                self.send(page(target))

    def send(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)


async def main() -> None:
    """Serve until stopped."""
    loop = asyncio.get_running_loop()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(sys.argv[3])
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024, ssl=tls)
    print(json.dumps(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
