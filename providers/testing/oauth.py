"""What an adapter with tokens has to do besides."""

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

import pytest

from ..base.errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from ..base.provider import Deadline, Provider, Query
from .carrier import LONG_S, Asked, Fault, Reply
from .contract import PATIENCE_S, SLACK_S, ProviderContract
from .paging import ABSENT


class OAuthContract(ProviderContract):
    """For an `OAuthProvider`. `authorization` is that of the request for a token."""

    form: ClassVar[Mapping[str, str]]
    """What the carrier wants in the form that a token is asked for with."""

    breaking_points = ("the first page", "a later page", "the token")

    issued: list[str]
    valid: set[str]
    life_s: float

    @pytest.fixture(autouse=True)
    def play(self) -> Iterator[None]:
        self.issued, self.valid, self.life_s = [], set(), 3600
        yield from self.playing()

    @property
    def token_path(self) -> str:
        base = f"{getattr(self.provider, 'base_url', '').rstrip('/')}/"
        return urlsplit(urljoin(base, self.oauth_url())).path

    def oauth_url(self) -> str:
        url = getattr(self.provider, "oauth_url", None)
        assert isinstance(url, str), "the provider says no oauth_url"
        return url.format_map(self.options)

    def settings(self) -> dict[str, Any]:
        elsewhere = urlsplit(self.oauth_url()).netloc
        more = {"oauth_url": self.carrier.url + self.token_path} if elsewhere else {}
        return super().settings() | more

    def secrets(self) -> set[str]:
        return super().secrets() | set(self.issued)

    def authorised(self, asked: Asked) -> bool:
        kind, _, token = asked.headers.get("Authorization", "").partition(" ")
        return kind == "Bearer" and token in self.valid

    def answer(self, asked: Asked) -> Reply | Fault:
        if asked.path != self.token_path:
            return super().answer(asked)
        spoilt = self.spoil(asked) if self.spoil else None
        if spoilt is not None:
            return spoilt
        right = asked.method == "POST" and self.form.items() <= asked.form.items()
        if not right or (asked.headers["Authorization"] or "") != self.authorization:
            return Reply({"error": "invalid_client"}, 401)
        token = f"token-{len(self.issued)}-of-the-account"
        self.issued.append(token)
        self.valid.add(token)
        return Reply({"access_token": token, "token_type": "bearer", "expires_in": self.life_s})

    def is_at(self, where: str, asked: Asked) -> bool:
        if where == "the token":
            return asked.path == self.token_path
        return asked.path != self.token_path and super().is_at(where, asked)

    def tokens_asked(self) -> int:
        return sum(asked.path == self.token_path for asked in self.carrier.asked)

    def at_once(self, account: Provider, patience_s: float = 10) -> list[object]:
        """What eight threads get that ask together: numbers or the error's kind."""
        together = threading.Barrier(8)

        def ask(_: int) -> object:
            together.wait(10)
            try:
                return account.ask(Query(deadline=Deadline(patience_s)))
            except ProviderError as error:
                return type(error)

        with ThreadPoolExecutor(8) as threads:
            return list(threads.map(ask, range(8)))

    def test_threads_and_lookups_share_a_token(self) -> None:
        account = self.account()
        assert self.at_once(account) == [account.ask(Query())] * 8
        assert self.tokens_asked() == 1

    def test_accounts_do_not_share_a_token(self) -> None:
        self.account().ask(Query())
        self.account().ask(Query())
        assert self.tokens_asked() == 2

    def test_a_token_is_replaced_shortly_before_it_ends(self) -> None:
        account, self.life_s = self.account(), 0.3
        account.ask(Query())
        time.sleep(0.28)
        account.ask(Query())
        assert self.tokens_asked() == 2

    def test_a_revoked_token_is_replaced_once_for_all_threads(self) -> None:
        account = self.account()
        wanted = account.ask(Query())
        self.valid.clear()
        assert self.at_once(account) == [wanted] * 8
        assert self.tokens_asked() == 2

    def test_a_new_token_that_is_refused_is_not_replaced_at_once(self) -> None:
        self.spoil = lambda asked: Reply({}, 401) if asked.path == self.path else None
        account = self.account()
        with pytest.raises(Refused):
            account.ask(Query())
        assert self.tokens_asked() == len(getattr(self.provider, "token_waits_s", "1"))
        self.spoil = None
        assert account.ask(Query())

    @pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (401, Refused)])
    def test_threads_share_the_answer_that_there_is_no_token(
        self, status: int, kind: type[ProviderError]
    ) -> None:
        def slowly_refuse(asked: Asked) -> Reply:
            time.sleep(0.2)
            return Reply({}, status)

        self.spoil = slowly_refuse
        assert self.at_once(self.account()) == [kind] * 8
        assert self.tokens_asked() == 1

    @pytest.mark.parametrize("kept", ["no token", "a revoked token"])
    def test_no_thread_waits_for_another_s_token_beyond_its_deadline(self, kept: str) -> None:
        asked, told = threading.Event(), threading.Event()

        def slowly_issue(request: Asked) -> None:
            if request.path == self.token_path:
                asked.set()
                told.wait(LONG_S)

        account = self.account()
        if kept == "a revoked token":
            account.ask(Query())
            self.valid.clear()
        self.spoil = slowly_issue
        with ThreadPoolExecutor(1) as threads:
            patient = threads.submit(account.ask, Query())
            assert asked.wait(10)
            started = time.monotonic()
            with pytest.raises(Unreachable):
                account.ask(Query(deadline=Deadline(PATIENCE_S)))
            assert time.monotonic() - started < PATIENCE_S + SLACK_S
            told.set()
            assert patient.result(10) == list(self.expected)

    @pytest.mark.parametrize(
        "said", [{}, {"access_token": ""}, {"access_token": None}, [], "token"]
    )
    def test_an_answer_without_a_token_is_unreadable(self, said: object) -> None:
        self.spoil = lambda asked: Reply(said) if asked.path == self.token_path else None
        assert type(self.fails()) is Unreadable

    @pytest.mark.parametrize("life", ["3600", None, ABSENT])
    def test_a_life_told_oddly_or_not_at_all_is_survived(self, life: object) -> None:
        said = {"access_token": "token-by-hand"} | ({} if life is ABSENT else {"expires_in": life})
        self.valid.add("token-by-hand")
        self.spoil = lambda asked: Reply(said) if asked.path == self.token_path else None
        account = self.account()
        assert account.ask(Query()) == account.ask(Query())
        assert self.tokens_asked() == 1
