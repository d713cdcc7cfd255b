"""What one process is made of, made when first asked for."""

import logging
import os
from collections.abc import Mapping
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

from flask import current_app

from helpdesk_numbers.directory.file import DirectoryFile, SingleAccount
from helpdesk_numbers.directory.toml import read_account
from helpdesk_numbers.lookup.lookup import Lookup
from helpdesk_numbers.settings import PATH, ConfigurationError, Settings, check_serving
from providers import Provider
from providers.base.options import Faults, Problems, in_environ, validate

if TYPE_CHECKING:
    from helpdesk_numbers.database.opening import Database
    from helpdesk_numbers.directory.database import DatabaseDirectory
    from helpdesk_numbers.install.app import App
    from helpdesk_numbers.lookup.bulkhead import Bulkhead
    from helpdesk_numbers.lookup.instances import RedisAnswers
    from helpdesk_numbers.lookup.sources import Users
    from helpdesk_numbers.scratch import ScratchFolder

log = logging.getLogger(__name__)


class Service:
    """Settings, directory and lookup out of one environment.

    Commands take what they need, so that one that needs no directory works without. Each part
    raises ConfigurationError, with every fault, if it is not usable.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.instances: RedisAnswers | None = None

    @cached_property
    def _values(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The settings by name as far as they are good, and what is wrong with the others."""
        problems = Problems()
        values = validate(Settings, *in_environ(Settings, self.environ, problems))
        if url := values.get("public_url"):  # some give the whole webhook's
            values["public_url"] = url.partition(PATH)[0]
        return values, tuple(problems.lines)

    @cached_property
    def _account(self) -> tuple[Provider | None, tuple[str, ...]]:
        """The account of the one-account mode, and what keeps the service from answering."""
        values, malformed = self._values
        account, problems = None, Problems()
        check_serving(values, problems)
        if values.get("provider") and not (values.get("directory") or values.get("directory_toml")):
            account = read_account(self.environ, values["provider"], problems)
        return account, (*malformed, *problems.lines)

    @cached_property
    def settings(self) -> Settings:
        """Return the settings, of which some may be missing."""
        values, malformed = self._values
        if malformed:
            raise ConfigurationError(malformed)
        return Settings(**values)

    @property
    def faults(self) -> tuple[str, ...]:
        """Return what keeps the service from answering, the directory file or text aside."""
        return self._account[1]

    @cached_property
    def source(self) -> DirectoryFile | None:
        """Return the directory file or text, whatever else is wrong; None for a single account."""
        values, _ = self._values
        path, text = values.get("directory"), values.get("directory_toml")
        try:
            return DirectoryFile(self.environ, path, text) if path or text else None
        except Faults as error:
            raise ConfigurationError(error.faults) from None

    @cached_property
    def directory(self) -> "DirectoryFile | SingleAccount | DatabaseDirectory":
        """Return where the directory in force comes from. It needs all that serving needs."""
        (account, faults), source = self._account, None
        try:
            source = self.source
        except ConfigurationError as error:
            faults += error.faults
        if source and not faults:
            return source
        if account and not faults:
            return SingleAccount(account, self.settings.hubspot_portal_ids)
        if not faults and self.settings.database_url:
            return self.database_directory
        raise ConfigurationError(faults)

    @cached_property
    def database(self) -> "Database":
        """Return the database and its keys, brought up to date; ConfigurationError if that cannot
        be."""
        from helpdesk_numbers.database.opening import open_database  # only where one is used

        return open_database(self.settings)

    def close(self) -> None:
        """End the connections to the database, if it was used."""
        if "database" in vars(self):
            self.database.engine.dispose()

    @cached_property
    def database_directory(self) -> "DatabaseDirectory":
        """Return the directory of the database."""
        from helpdesk_numbers.directory.database import DatabaseDirectory

        database, settings = self.database, self.settings
        max_age_s = settings.last_known_good or 5
        return DatabaseDirectory(database.engine, database.encryption, max_age_s)

    @cached_property
    def app(self) -> "App":
        """Return our app at HubSpot, where HUBSPOT_CLIENT_ID is set."""
        from helpdesk_numbers.install.app import App

        return App(self.settings, self.database)

    def begin_refreshing(self) -> None:
        """Keep the tokens of portals fresh that installed the app, by a thread of this process."""
        if self.settings.hubspot_client_id:
            self.app.refresher(self.database_directory.forget).begin()

    @cached_property
    def lookup(self) -> Lookup:
        """Return what answers this process's requests."""
        directory, settings = self.directory, self.settings  # in this order: it finds all faults
        return Lookup(
            directory,
            settings.lookup_deadline,
            settings.last_known_good,
            settings.web_threads,
            self._users,
        )

    def _users(self, bulkhead: "Bulkhead") -> "Users":
        """What says who users are: made when a rule first needs to know."""
        from helpdesk_numbers.users.asking import sender, tokens
        from helpdesk_numbers.users.resolver import Resolver

        settings = self.settings
        return Resolver(
            sender(settings.hubspot_api_base_url),
            tokens(settings.only_token),
            partial(bulkhead.submit, healthy=False),
            max(1, settings.web_threads // 2),
        )

    def share_answers(self) -> "ScratchFolder | None":
        """Let the workers forked from now on share last good answers, if they are kept at all, and
        by Redis those of other instances; return the folder to remove at the end."""
        settings = self.settings
        if not settings.last_known_good:
            return None
        if url := settings.redis_url:
            from helpdesk_numbers.lookup.instances import RedisAnswers

            secrets = settings.hubspot_client_secret
            self.instances = RedisAnswers(url, secrets, settings.last_known_good)
            self.lookup.share(None, self.instances)
        from helpdesk_numbers.lookup.sqlite import SQLiteAnswers  # not above: servers alone
        from helpdesk_numbers.scratch import ScratchFolder

        try:
            folder = ScratchFolder()
        except OSError as error:
            log.warning("last good answers are not shared among workers: %s", error.strerror)
            return None
        self.lookup.share(SQLiteAnswers(folder.path, settings.last_known_good), self.instances)
        return folder


def current_service() -> Service:
    """Return the service of the app whose command runs."""
    service: Service = current_app.extensions["helpdesk_numbers"]
    return service


@cache
def service_of_process() -> Service:
    """Return the service by this process's environment. gunicorn's configuration and the app share
    it, so that a large directory is read once."""
    return Service(os.environ)
