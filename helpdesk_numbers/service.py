"""What one process is made of, made when first asked for."""

import os
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

from flask import current_app

from helpdesk_numbers.directory.file import DirectoryFile, SingleAccount
from helpdesk_numbers.directory.toml import read_account
from helpdesk_numbers.lookup.lookup import Lookup
from helpdesk_numbers.settings import ConfigurationError, Settings, check_serving
from providers import Provider
from providers.base.options import Faults, Problems, in_environ, validate


class Service:
    """Settings, directory and lookup out of one environment.

    Commands take what they need, so that one that needs no directory works without. Each part
    raises ConfigurationError, with every fault, if it is not usable.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    @cached_property
    def _given(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The settings by name as far as they are good, and what is wrong with the others."""
        problems = Problems()
        given = validate(Settings, *in_environ(Settings, self.environ, problems))
        return given, tuple(problems.lines)

    @cached_property
    def _account(self) -> tuple[Provider | None, tuple[str, ...]]:
        """The account of the one-account mode, and what keeps the service from answering."""
        given, malformed = self._given
        account, problems = None, Problems()
        check_serving(given, problems)
        if given.get("provider") and not (given.get("directory") or given.get("directory_toml")):
            account = read_account(self.environ, given["provider"], problems)
        return account, (*malformed, *problems.lines)

    @cached_property
    def settings(self) -> Settings:
        """The settings, of which some may be missing."""
        given, malformed = self._given
        if malformed:
            raise ConfigurationError(malformed)
        return Settings(**given)

    @property
    def faults(self) -> tuple[str, ...]:
        """What keeps the service from answering, the directory file or text aside."""
        return self._account[1]

    @cached_property
    def source(self) -> DirectoryFile | None:
        """The directory file or text, whatever else is wrong; None for a single account."""
        given, _ = self._given
        try:
            path, text = given.get("directory"), given.get("directory_toml")
            if path or text:
                return DirectoryFile(self.environ, path, text)
        except Faults as error:
            raise ConfigurationError(error.faults) from None
        return None

    @cached_property
    def directory(self) -> DirectoryFile | SingleAccount:
        """Where the directory in force is to be had. It needs all that serving needs."""
        (account, faults), source = self._account, None
        try:
            source = self.source
        except ConfigurationError as error:
            faults += error.faults
        if source and not faults:
            return source
        if account and not faults:
            return SingleAccount(account, self.settings.hubspot_portal_ids)
        raise ConfigurationError(faults)

    @cached_property
    def lookup(self) -> Lookup:
        """The lookup."""
        directory, settings = self.directory, self.settings  # in this order: it finds all faults
        return Lookup(
            directory,
            settings.lookup_deadline,
            settings.last_known_good,
            settings.web_threads,
        )


def current_service() -> Service:
    """That of the app whose command runs."""
    service: Service = current_app.extensions["helpdesk_numbers"]
    return service


@cache
def service_of_process() -> Service:
    """The service by this process's environment. gunicorn's configuration and the app share it, so
    that a large directory is read once."""
    return Service(os.environ)
