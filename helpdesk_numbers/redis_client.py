"""Redis (6 or later) or Valkey, for what may be lost. Imported with REDIS_URL alone."""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Broken
from redis.retry import Retry

from providers.base import trust

log = logging.getLogger(__name__)

TIMEOUT_S = 1.0
"""For a connection with TLS, and for each answer. No request waits for it."""

SLOW_S = 0.05
"""How long a request waits for Redis. One that takes longer counts as away."""

PAUSE_S = 5.0
"""How long Redis is left alone once it was away; then it is tried, and nobody waits for that."""

T = TypeVar("T")


def connect(url: str) -> Redis:
    """Return a client of the Redis at the URL, which connects when first used.

    `rediss://` is verified, unless the URL says `?ssl_cert_reqs=none`, as Heroku's self-signed
    certificates need: https://devcenter.heroku.com/articles/connecting-heroku-redis
    """
    tls: dict[str, Any] = {}
    if urlsplit(url).scheme == "rediss":  # what the URL itself says of these counts more
        source = trust.source()
        tls["ssl_ca_path" if os.path.isdir(source) else "ssl_ca_certs"] = source
    return Redis.from_url(
        url,
        protocol=2,
        driver_info=None,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        # A kept connection may have been closed meanwhile; silence is not tried twice.
        retry=Retry(NoBackoff(), 1, (Broken,)),
        **tls,
    )


class SharedRedis:
    """A Redis behind a circuit breaker. Threads share it, and processes forked from this one."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url)
        self._lock = threading.Lock()
        self._away, self._try_at = False, 0.0

    def state(self) -> tuple[bool, bool]:
        """Return whether it may be asked now, and whether its answer is worth waiting for."""
        with self._lock:
            return time.monotonic() >= self._try_at, not self._away

    def run(self, work: Callable[[Redis], T]) -> T | None:
        """Do it; return None if Redis is away, which is logged once until it is back."""
        began = time.monotonic()
        if not self.state()[0]:
            return None
        try:
            result = work(self._redis)
        except (RedisError, OSError) as error:
            self.fail(str(error) or type(error).__name__)
            return None
        with self._lock:
            if time.monotonic() - began < SLOW_S:
                self._away, self._try_at = False, 0.0
        return result

    def fail(self, why: str) -> None:
        """Leave it alone for a while."""
        with self._lock:
            was_away, self._away = self._away, True
            self._try_at = time.monotonic() + PAUSE_S
        if not was_away:
            log.warning("last good answers are not shared among instances: Redis: %s", why[:200])
