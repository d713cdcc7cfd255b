"""What can go wrong at a provider.

    ProviderError          .account .provider
    ├── Unreachable        no whole answer in time: DNS, TLS, connection, deadline, 5xx
    ├── RateLimited        .retry_after_s
    ├── Refused            401, 403, 404 and their kind: the operator must act
    └── Unreadable         not the answer that the carrier documents

Messages hold statuses, the carrier's error codes and field names. Bodies, URLs, secrets and phone
numbers stay out of them, since they end in logs and on terminals.
"""

from typing import ClassVar

LONGEST_WAIT_S = 3600.0
"""A carrier may ask for more, which would be an odd date, or a mistake."""


class ProviderError(Exception):
    """An account did not give its numbers. `account` and `provider` name it once it is known."""

    outcome: ClassVar[str] = "failed"
    """One word for logs."""

    account = ""
    provider = ""
    remedy = ""
    """What to do about it, if the account's adapter knows."""

    retry_after_s: float | None = None


class Unreachable(ProviderError):
    """No whole answer came in time; another try may help."""

    outcome = "unreachable"


class RateLimited(ProviderError):
    """The carrier wants fewer requests. `retry_after_s`: seconds it asks us to wait, if it says."""

    outcome = "rate_limited"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s and min(max(0.0, retry_after_s), LONGEST_WAIT_S)


class Refused(ProviderError):
    """The carrier understood and said no: wrong credentials, wrong account, missing permission.

    `status` is what it answered; None if the request could not even be sent.
    """

    outcome = "refused"

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Unreadable(ProviderError):
    """The answer is not what the carrier documents; the message says where."""

    outcome = "unreadable"
