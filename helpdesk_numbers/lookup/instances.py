"""Last good answers that all instances share, in Redis (6 or later) or Valkey.

No request touches a socket: each process has a thread that writes and one that reads. A request
whose account failed waits for what is read, SLOW_S at most, and not while Redis is away. Times
there are of Redis's own clock, since those of instances differ; here they are monotonic.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from cachetools import TTLCache

from helpdesk_numbers.redis_client import SLOW_S, SharedRedis
from helpdesk_numbers.shared_file import Worker
from providers.base.provider import Provider, Query

from .sealed import HEAD, Sealed, ended
from .shared import Kept

if TYPE_CHECKING:
    from redis import Redis

WRITE_EVERY_S, READ_EVERY_S = 5.0, 1.0
"""How often a process writes, and reads, the answer to the same question."""

MOST_BYTES, MOST_WAITING = 8 * 1024 * 1024, 1_000
"""Of one answer, compressed: larger ones are not shared. Reads and writes that wait."""

MOST_AHEAD_S = 5.0
"""An answer from further ahead than this was there before Redis's clock was put back, so nobody
knows its age."""

NEVER = float("-inf")

T = TypeVar("T")
Learn = Callable[[Provider, float, dict[Query, Kept]], None]


class RedisAnswers:
    """Answers younger than `max_age_s`. None of it raises; threads share it."""

    def __init__(self, url: str, secrets: Iterable[str], max_age_s: float) -> None:
        self._redis, self._sealed, self._max_age_s = SharedRedis(url), Sealed(secrets), max_age_s
        self._writer, self._reader = Worker(MOST_WAITING), Worker(MOST_WAITING)
        self._lock = threading.Lock()
        self._untold: dict[tuple[str, str], float] = {}  # refusals that Redis does not know yet
        self._written: TTLCache[Any, bool] = TTLCache(1_000, WRITE_EVERY_S)
        self._reads: TTLCache[Any, threading.Event] = TTLCache(1_000, READ_EVERY_S)

    def begin(self) -> None:
        """Connect this process, ahead of the first request that needs it."""
        self._reader.do(lambda: self._run(lambda *_: None))

    def put(self, account: Provider, query: Query, answer: Kept) -> None:
        """Keep an answer, some time soon."""
        with self._lock:
            if (account, query) in self._written:
                return
            self._written[account, query] = True
        self._writer.do(lambda: self._run(partial(self._write, account, query, answer)))

    def _write(
        self, account: Provider, query: Query, answer: Kept, redis: "Redis", ahead_s: float
    ) -> None:
        answer = answer._replace(began=answer.began + ahead_s, at=answer.at + ahead_s)
        name, *_ = self._sealed.names("answer", account, query)
        of_account, *_ = self._sealed.names("answers", account)
        value = self._sealed.seal(name, answer)
        if len(value) <= MOST_BYTES:
            ends_ms = int((answer.at + self._max_age_s) * 1000)  # a Redis that hung does it later
            with redis.pipeline() as pipe:
                pipe.set(name, value)
                pipe.sadd(of_account, name)
                pipe.pexpireat(name, ends_ms)
                pipe.pexpireat(of_account, ends_ms)
                pipe.execute()

    def refuse(self, account: Provider, at: float) -> None:
        """Forget all answers of the account that began before then, in all instances: now or, if
        Redis is away, before this process reads or writes anything else there."""
        refused, answers = (self._sealed.names(kind, account) for kind in ("refused", "answers"))
        with self._lock:
            self._untold.update(dict.fromkeys(zip(refused, answers, strict=True), at))
        self._writer.do(lambda: self._run(lambda *_: None))

    def look(self, account: Provider, known: Mapping[Query, float], learn: Learn) -> None:
        """Have `learn` told when the account was last refused, and the answers to the queries that
        are younger than those `known`: before this returns, if Redis answers in time."""
        may_ask, worth_waiting = self._redis.state()
        if not may_ask:
            return
        key = account, frozenset(known)
        with self._lock:
            done, begun = threading.Event(), self._reads.get(key)
            if begun is None:
                self._reads[key] = done
        if begun is None:
            self._reader.do(partial(self._read, account, known, learn, done))
        if worth_waiting and not (begun or done).wait(SLOW_S):
            self._redis.fail(f"no answer within {SLOW_S * 1000:.0f} ms")

    def _read(
        self, account: Provider, known: Mapping[Query, float], learn: Learn, done: threading.Event
    ) -> None:
        try:
            if read := self._run(partial(self._fetch, account, known)):
                learn(account, *read)
        finally:
            done.set()

    def _fetch(
        self, account: Provider, known: Mapping[Query, float], redis: "Redis", ahead_s: float
    ) -> tuple[float, dict[Query, Kept]]:
        names = [
            (query, n) for query in known for n in self._sealed.names("answer", account, query)
        ]
        with redis.pipeline() as pipe:
            pipe.mget(self._sealed.names("refused", account))
            for _, name in names:
                pipe.getrange(name, 0, HEAD - 1)
            refusals, *heads = pipe.execute()
        refused_at = max(map(float, filter(None, refusals)), default=NEVER) - ahead_s
        found: dict[Query, Kept] = {}
        for (query, name), head in zip(names, heads, strict=True):
            least = found[query].at if query in found else known[query]
            value: Any = redis.get(name) if ended(head) - ahead_s > least else None
            kept, now = self._sealed.open(name, value), time.monotonic()
            if kept and kept.at - ahead_s < now + MOST_AHEAD_S:
                found[query] = Kept(kept.numbers, kept.began - ahead_s, min(kept.at - ahead_s, now))
        return refused_at, found

    def _run(self, work: "Callable[[Redis, float], T]") -> T | None:
        """Do it, after the refusals that Redis does not know yet; `work` gets the seconds by which
        Redis's clock is ahead of ours. None: Redis is away."""
        with self._lock:
            untold = dict(self._untold)

        def tell_first(redis: "Redis") -> tuple[T]:
            now = time.monotonic()  # before it is asked: answers seem older, not younger
            time_there: Any = redis.time()
            ahead_s = time_there[0] + time_there[1] / 1e6 - now
            for (refused, answers), at in untold.items():
                with redis.pipeline() as pipe:
                    pipe.set(refused, repr(at + ahead_s))
                    pipe.pexpireat(refused, int((at + ahead_s + self._max_age_s) * 1000))
                    pipe.smembers(answers)
                    *_, names = pipe.execute()
                redis.delete(answers, *names)
            return (work(redis, ahead_s),)

        done = self._redis.run(tell_first)
        if done is None:
            return None
        with self._lock:
            for names in [names for names, at in untold.items() if self._untold.get(names) == at]:
                del self._untold[names]
        return done[0]
