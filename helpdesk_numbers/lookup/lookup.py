"""Who is asking → which accounts → their numbers, live, side by side, under one deadline."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from helpdesk_numbers.directory.model import Directory, Grant
from hubspot.errors import HubSpotUnavailable
from providers.base.provider import ANYBODY, Deadline, Provider, Query

from .accounts import Accounts
from .bulkhead import Bulkhead
from .calls import Call
from .judge import Judged
from .result import NOT_NEEDED, LeftOut, Number, Outcome, Result, Who, find_static, keep_static
from .rules import apply_rules, lists_all, query_for
from .shared import SharedAnswers
from .sources import DirectorySource, Users

if TYPE_CHECKING:
    from .instances import RedisAnswers


class Lookup:
    """Answers who may see what. One for each worker; its threads share it.

    `threads` is how many requests a worker works on at a time; 0 for `last_known_good_s` turns
    stale-if-error off. `users` makes what says who is asking, once a rule needs to know.
    """

    def __init__(
        self,
        directories: DirectorySource,
        deadline_s: float,
        last_known_good_s: float = 0,
        threads: int = 64,
        users: Callable[[Bulkhead], Users] | None = None,
    ) -> None:
        self._directories = directories
        self._deadline_s = deadline_s
        self._make_users = users
        self._made_users: Users | None = None
        self._lock = threading.Lock()
        self.bulkhead = Bulkhead(threads)
        self._accounts = Accounts(deadline_s, last_known_good_s, self.bulkhead)

    def share(self, shared: SharedAnswers | None, instances: "RedisAnswers | None" = None) -> None:
        """Share last good answers with the instance's other workers, and with other instances."""
        if self._accounts.stale:
            self._accounts.stale.shared, self._accounts.stale.instances = shared, instances

    def look_up(self, portal_id: int, user_id: int, *, full: bool = False) -> Result:
        """Return the numbers that the user may see now, in time whatever the carriers do.

        With `full`, accounts are asked for everything, so that `left_out` is complete. No carrier's
        failure is raised: `Result.failure` has it.

        Raises:
            DirectoryRefused, DirectoryUnavailable: there is no directory to go by.
            LookupFailed: the user's rule depends on who that is, which HubSpot did not say.
        """
        directory = self._directories.of(portal_id)
        viewer = directory.viewer(portal_id, user_id)
        if viewer and not full and (static_result := find_static(directory, viewer)):
            return static_result
        began, deadline = time.monotonic(), Deadline(self._deadline_s)
        who, begun = NOT_NEEDED, dict[Provider, Call]()
        if viewer is None:
            who, begun = self._identify(directory, portal_id, user_id, deadline)
            grants, why = directory.grants(portal_id, user_id, who.user)
        else:
            grants, why = directory.granted(viewer, portal_id, user_id)
        numbers: dict[tuple[str, str | None], Number] = {}
        left_out: list[LeftOut] = []
        outcomes = []
        asked = self._ask(grants, full, deadline, began, begun)
        for grant, (listed, outcome) in zip(grants, asked, strict=True):
            apply_rules(listed, grant, numbers, left_out)
            outcomes.append(outcome)
        result = Result(list(numbers.values()), why, outcomes, left_out, who)
        if viewer and not full and all(grant.account.fixed for grant in grants):
            keep_static(directory, viewer, result)
        return result

    def _identify(
        self, directory: Directory, portal_id: int, user_id: int, deadline: Deadline
    ) -> tuple[Who, dict[Provider, Call]]:
        """Who is asking, and the calls that were begun meanwhile."""
        users = self._users()
        if who := users.remembered(directory, portal_id, user_id):
            return who, {}
        self.bulkhead.begin_waiting(time.monotonic())
        try:
            begun = self._begin_ahead(directory, portal_id, user_id, deadline)
            return users.resolve(directory, portal_id, user_id, deadline), begun
        finally:
            self.bulkhead.end_waiting()

    def _users(self) -> Users:
        with self._lock:
            if self._made_users is None:
                if self._make_users is None:
                    raise HubSpotUnavailable("nothing here asks HubSpot who a user is")
                self._made_users = self._make_users(self.bulkhead)
            return self._made_users

    def _begin_ahead(
        self, directory: Directory, portal_id: int, user_id: int, deadline: Deadline
    ) -> dict[Provider, Call]:
        """Calls to the accounts that list everybody's numbers, whoever is asking."""
        portal, begun = directory.portals[portal_id], dict[Provider, Call]()
        rules = [rule for rule in portal.possible_rules(user_id) if not rule.allows_nothing]
        owner = ANYBODY if any(rule.by_address for rule in rules) else None
        for name in portal.accounts:
            account = directory.accounts[name]
            mine = [rule for rule in rules if rule.accounts is None or name in rule.accounts]
            if not account.fixed and mine and lists_all(mine, account):
                query = account.full(Query(owner=owner, deadline=deadline))
                call, is_new = self._accounts.join(account, query, query)
                if is_new:
                    self._accounts.submit(call)
                if is_new or not call.ended:  # else perhaps it can be asked for less
                    begun[account] = call
        return begun

    def _ask(
        self,
        grants: list[Grant],
        full: bool,
        deadline: Deadline,
        began: float,
        begun: Mapping[Provider, Call],
    ) -> list[tuple[list[Judged], Outcome]]:
        """Each account's numbers and outcome, in order; the accounts are asked side by side."""
        queries = [query_for(grant.rules, grant.account, deadline) for grant in grants]
        full_queries = [
            grant.account.full(query) for grant, query in zip(grants, queries, strict=True)
        ]
        self.bulkhead.begin_waiting(time.monotonic())
        try:  # in which no adapter's code runs until each call is somebody's to make
            calls: list[tuple[Query, Call]] = []
            new_calls: list[Call] = []
            for grant, query, full_query in zip(grants, queries, full_queries, strict=True):
                call, is_new = begun.get(grant.account), False
                if call is None:
                    wanted = full_query if full else query
                    call, is_new = self._accounts.join(grant.account, wanted, full_query)
                calls.append((query, call))
                if is_new:
                    new_calls.append(call)
            own_call = next((call for call in new_calls if call.account.keeps_deadline), None)
            for call in new_calls:
                if call is not own_call:
                    self._accounts.submit(call)
            if own_call:  # needs no other thread
                self._accounts.make(own_call)
            return [self._accounts.answer(query, call, began) for query, call in calls]
        finally:
            self.bulkhead.end_waiting()
