"""What one process is made of, made when first asked for."""

from collections.abc import Mapping
from functools import cached_property

from flask import current_app

from providers.directory import OneAccount, Source, read_account
from providers.lookup import Lookup
from providers.options import Faults, in_environ, sift
from settings import ConfigurationError, Settings, read_settings, serving_faults


class Service:
    """Settings, directory and lookup out of one environment.

    Commands take what they need, so that one that needs no directory works without. Each part
    raises ConfigurationError, with every fault, if it is not usable.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    @cached_property
    def settings(self) -> Settings:
        """The settings, of which some may be missing."""
        return read_settings(self.environ)

    @cached_property
    def source(self) -> Source | None:
        """The directory file or text, whatever else is wrong; None for a single account."""
        given = sift(Settings, *in_environ(Settings, self.environ, []), [])
        try:
            if given["directory"] or given["directory_toml"]:
                return Source(self.environ, given["directory"], given["directory_toml"])
        except Faults as error:
            raise ConfigurationError(error.faults) from None
        return None

    @cached_property
    def directory(self) -> Source | OneAccount:
        """Where the directory in force is to be had. It needs all that serving needs."""
        faults = serving_faults(self.environ)
        source = None
        try:
            source = self.source
        except ConfigurationError as error:
            faults += error.faults
        if faults:
            raise ConfigurationError(tuple(faults))
        if source:
            return source
        settings = self.settings
        account = read_account(self.environ, settings.provider or "", faults)
        if account is None:
            raise ConfigurationError(tuple(faults))
        return OneAccount(account, settings.hubspot_portal_ids)

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
