"""What one process is made of, made when first asked for."""

import os
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

from flask import current_app

from helpdesk_numbers.directory.file import OneAccount, Source
from helpdesk_numbers.directory.toml import read_account
from helpdesk_numbers.lookup.lookup import Lookup
from helpdesk_numbers.settings import ConfigurationError, Settings, serving_faults
from providers import Provider
from providers.base.options import Faults, in_environ, sift


class Service:
    """Settings, directory and lookup out of one environment.

    Commands take what they need, so that one that needs no directory works without. Each part
    raises ConfigurationError, with every fault, if it is not usable.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    @cached_property
    def _given(self) -> tuple[dict[str, Any], list[str]]:
        """The settings by name as far as they are good, and what is wrong with the others."""
        faults: list[str] = []
        return sift(Settings, *in_environ(Settings, self.environ, faults), faults), faults

    @cached_property
    def _account(self) -> tuple[Provider | None, list[str]]:
        """The account of the one-account mode, and what is wrong with it."""
        given, _ = self._given
        faults: list[str] = []
        if given["directory"] or given["directory_toml"] or not given["provider"]:
            return None, faults
        return read_account(self.environ, given["provider"], faults), faults

    @cached_property
    def settings(self) -> Settings:
        """The settings, of which some may be missing."""
        given, faults = self._given
        if faults:
            raise ConfigurationError(tuple(faults))
        return Settings(**given)

    @cached_property
    def faults(self) -> tuple[str, ...]:
        """What keeps the service from answering, the directory file or text aside."""
        given, malformed = self._given
        return (*malformed, *serving_faults(given), *self._account[1])

    @cached_property
    def source(self) -> Source | None:
        """The directory file or text, whatever else is wrong; None for a single account."""
        given, _ = self._given
        try:
            if given["directory"] or given["directory_toml"]:
                return Source(self.environ, given["directory"], given["directory_toml"])
        except Faults as error:
            raise ConfigurationError(error.faults) from None
        return None

    @cached_property
    def directory(self) -> Source | OneAccount:
        """Where the directory in force is to be had. It needs all that serving needs."""
        faults, source, account = self.faults, None, self._account[0]
        try:
            source = self.source
        except ConfigurationError as error:
            faults += error.faults
        if source and not faults:
            return source
        if account and not faults:
            return OneAccount(account, self.settings.hubspot_portal_ids)
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
