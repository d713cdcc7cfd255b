"""Every setting of the service: name, help, default, secret or not.

The names in capitals are the environment variables. `make docs` writes docs/settings.md out of
this table, and a fault of a setting shows its description.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

import click
import msgspec
from msgspec import Meta

from hubspot.schema import MAX_ID
from providers.base.options import FAULTY, URL, Problems, Secret

PATH = "/hubspot/phone-numbers"
"""The webhook's, below PUBLIC_URL."""

Id = Annotated[int, Meta(ge=1, le=MAX_ID - 1)]


class ConfigurationError(click.ClickException):
    """What the operator has to put right before the service can start, a line each."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"the configuration is not usable:\n{lines}")


class WebhookKey(Secret):
    """What stands at the end of the webhook's URL so that no outsider can guess it."""

    __slots__ = ()

    def __new__(cls, text: str) -> "WebhookKey":
        """Return the key; ValueError if it could be guessed, or mangled on its way in a URL."""
        if len(text) < 20 or not (text.isascii() and text.isalnum()):
            raise ValueError("too short, or with other characters than letters and digits")
        return super().__new__(cls, text)


class DatabaseURL(Secret):
    """Where the directory is kept. It may hold a password."""

    __slots__ = ()

    def __new__(cls, text: str) -> "DatabaseURL":
        """Return the URL; ValueError if it is of no database that we use."""
        if not re.match(r"(postgres(ql)?(\+psycopg)?|sqlite(\+pysqlite)?)://", text):
            raise ValueError("not postgresql://… or sqlite:///path")
        return super().__new__(cls, text)


class RedisURL(Secret):
    """Where last good answers are shared. It may hold a password."""

    __slots__ = ()

    def __new__(cls, text: str) -> "RedisURL":
        """Return the URL; ValueError if it is none of a Redis, or has options that are not read."""
        url = urlsplit(text)  # `port` raises too
        options = {name for name, _ in parse_qsl(url.query, keep_blank_values=True)}
        if url.scheme not in ("redis", "rediss") or not url.hostname or url.port == 0:
            raise ValueError("not redis://HOST:PORT or rediss://HOST:PORT")
        if options - {"db", "ssl_cert_reqs", "ssl_ca_certs", "ssl_check_hostname"}:
            raise ValueError("has other options than ssl_cert_reqs, ssl_ca_certs and db")
        if not url.path.strip("/").isdecimal() and url.path not in ("", "/"):
            raise ValueError("the path is not the number of a database")
        return super().__new__(cls, text)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings, parsed. `Service` in helpdesk_numbers/service.py reads them."""

    hubspot_client_secret: Annotated[
        tuple[Secret, ...],
        Meta(description="the app's client secret; while rotating, several, comma-separated"),
    ] = ()
    hubspot_app_id: Annotated[
        Id | None, Meta(description="the app this service answers for; another `appId` gets 403")
    ] = None
    hubspot_signature_versions: Annotated[
        tuple[Literal["v3", "v2", "v1"], ...],
        Meta(
            min_length=1,
            description="signature versions accepted, e.g. `v3,v2`; a request that carries a v3"
            " signature is judged by v3 alone",
        ),
    ] = ("v3",)
    public_url: Annotated[
        URL | None,
        Meta(
            description="the service's outside base URL, as HubSpot calls it, e.g."
            " `https://numbers.example.com`; without it, scheme and host are those of the request",
        ),
    ] = None
    trusted_proxies: Annotated[
        int,
        Meta(
            ge=0,
            le=10,
            description="without `PUBLIC_URL`: how many proxies' `X-Forwarded-Proto` is believed;"
            " `0` for none",
        ),
    ] = 1
    hubspot_webhook_key: Annotated[
        WebhookKey | None,
        Meta(
            description="20 or more letters and digits; the webhook is then"
            " `/hubspot/phone-numbers/KEY`, and `/hubspot/phone-numbers` is 404"
        ),
    ] = None
    hubspot_developer_api_key: Annotated[
        Secret | None,
        Meta(description="the developer account's API key, for the commands that ask HubSpot"),
    ] = None
    hubspot_access_token: Annotated[
        Secret | None,
        Meta(description="an access token, used in place of `HUBSPOT_DEVELOPER_API_KEY` if set"),
    ] = None
    hubspot_portal_token: Annotated[
        Secret | None,
        Meta(
            description="a private app's token (`pat-…`) of the only portal, to look its users up;"
            " of several, or in a database, each has its `token` in the directory"
        ),
    ] = None
    hubspot_api_version: Annotated[
        Literal["v3", "2025-09", "2026-03", "2026-09"],
        Meta(description="the generation of HubSpot's settings API that the commands use"),
    ] = "v3"
    hubspot_api_base_url: Annotated[URL, Meta(description="the base URL of HubSpot's API")] = (
        "https://api.hubapi.com"
    )
    hubspot_client_id: Annotated[
        str | None,
        Meta(
            description="the app's client id; turns on `/hubspot/install`, where portals' admins"
            " install the app"
        ),
    ] = None
    hubspot_scopes: Annotated[
        str, Meta(description="what an install asks for: all that the app requires, `oauth` too")
    ] = "oauth crm.objects.owners.read"
    hubspot_optional_scopes: Annotated[
        str, Meta(description="what it asks for where the portal has it")
    ] = "settings.users.read"
    hubspot_new_portal_users: Annotated[
        Literal["own", "all", "none"],
        Meta(description="what users of a portal see that has just installed the app"),
    ] = "own"
    hubspot_uninstall_grace_days: Annotated[
        int,
        Meta(ge=0, description="days that a portal is kept for which has uninstalled the app"),
    ] = 14
    directory: Annotated[
        str | None, Meta(description="path of the directory file, or of a folder of files")
    ] = None
    directory_toml: Annotated[
        str | None,
        Meta(description="the directory itself as text; not together with `DIRECTORY`"),
    ] = None
    database_url: Annotated[
        DatabaseURL | None,
        Meta(
            description="`postgresql://…` or `sqlite:///path`: where the directory is, if neither"
            " a file, a text nor a single account is the directory"
        ),
    ] = None
    encryption_keys: Annotated[
        tuple[Secret, ...],
        Meta(
            description="required with `DATABASE_URL`: encrypt every secret at rest,"
            " comma-separated, newest first; `flask keys new` prints one"
        ),
    ] = ()
    admin_tokens: Annotated[
        tuple[Secret, ...],
        Meta(
            description="20 or more characters each, comma-separated; turn on the management API,"
            " `/api/v1`, for who sends one"
        ),
    ] = ()
    provider: Annotated[
        str | None,
        Meta(description="the provider of a single account, with options `<PROVIDER>_<OPTION>`"),
    ] = None
    hubspot_portal_ids: Annotated[
        tuple[Id, ...],
        Meta(description="required with `PROVIDER`: portals that see its numbers, comma-separated"),
    ] = ()
    lookup_deadline: Annotated[
        float,
        Meta(
            gt=0,
            le=30,
            description="seconds within which a lookup answers, whatever the carriers do",
        ),
    ] = 4.0
    last_known_good: Annotated[
        float,
        Meta(
            ge=0, description="seconds for which a last good answer may stand in; `0` turns it off"
        ),
    ] = 600
    redis_url: Annotated[
        RedisURL | None,
        Meta(
            description="`redis://` or `rediss://`: instances share last good answers there;"
            " with `?ssl_cert_reqs=none`, its certificate is not verified"
        ),
    ] = None
    log_format: Annotated[
        Literal["json", "text"], Meta(description="`text` is easier for people to read")
    ] = "json"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="the lowest level logged; requests are logged at `info`"),
    ] = "info"
    port: Annotated[
        int,
        Meta(ge=1, le=65535, description="the port; if unset, only this machine can connect"),
    ] = 8000
    web_concurrency: Annotated[int, Meta(ge=1, description="gunicorn's worker processes")] = 2
    web_threads: Annotated[
        int, Meta(ge=1, description="threads of each worker: requests answered at a time")
    ] = 64

    @property
    def only_token(self) -> Secret | None:
        """Return `hubspot_portal_token`, None if a database is the directory: any of its portals
        might be asked for with it."""
        others = self.directory or self.directory_toml or self.provider
        return None if self.database_url and not others else self.hubspot_portal_token


def check_serving(given: Mapping[str, Any], problems: Problems) -> None:
    """Tell `problems` what is missing or contradictory, so that the service cannot answer.

    `given` are the settings by name, less those that are malformed.
    """
    at = problems.at("HUBSPOT_CLIENT_SECRET")
    secrets = given.get("hubspot_client_secret")  # not there: it is malformed
    if secrets is not None and not (secrets and all(map(str.strip, secrets))):
        at.add("missing; without it, no request can be proven to be HubSpot's")
    if any(secret.strip().startswith("pat-") for secret in secrets or ()):
        at.add(
            "this is a private app's access token; HubSpot signs with the app's client secret:"
            " copy it from the app's Auth page"
        )
    directory, text = given.get("directory", FAULTY), given.get("directory_toml", FAULTY)
    no_directory = not (directory or text)
    if directory and text:
        problems.at("DIRECTORY_TOML").add("not together with DIRECTORY; unset one of them")
    elif no_directory and not (given.get("provider", FAULTY) or given.get("database_url", FAULTY)):
        problems.at("DIRECTORY").add(
            "missing; set it, DIRECTORY_TOML, DATABASE_URL, or PROVIDER for a single account"
        )
    elif no_directory and given.get("provider", FAULTY) and given.get("hubspot_portal_ids") == ():
        problems.at("HUBSPOT_PORTAL_IDS").add(
            "missing; without it, any portal that installs the app would see the account's numbers"
        )
    keys = given.get("encryption_keys")  # not there: it is malformed
    if (
        given.get("database_url", FAULTY)
        and keys is not None
        and not (keys and all(map(_is_key, keys)))
    ):
        problems.at("ENCRYPTION_KEYS").add(
            "missing, or not a key; `flask keys new` prints one: keep it as safe as the database"
        )
    tokens = [token.strip() for token in given.get("admin_tokens", ())]
    if not all(re.fullmatch("[!-~]{20,}", token) for token in tokens):
        problems.at("ADMIN_TOKENS").add(
            "one is shorter than 20 characters, or has others than letters, digits and signs:"
            " `openssl rand -hex 32` makes one"
        )
    elif len(set(tokens)) < len(tokens):
        problems.at("ADMIN_TOKENS").add("two are the same")
    for name, what in (("admin_tokens", "the API changes"), ("hubspot_client_id", "installs are")):
        at = problems.at(name.upper())
        if given.get(name) and not given.get("database_url", FAULTY):
            at.add(f"set DATABASE_URL too: {what} what is there")
        elif given.get(name) and (directory or text or given.get("provider")):
            at.add(f"unset DIRECTORY, DIRECTORY_TOML and PROVIDER: {what} in the database alone")
    if given.get("hubspot_client_id") and not given.get("public_url", FAULTY):
        problems.at("PUBLIC_URL").add("missing; HubSpot sends who installs the app back there")
    if "oauth" not in given.get("hubspot_scopes", "oauth").split():
        problems.at("HUBSPOT_SCOPES").add("lacks oauth, which each app requires")


def _is_key(text: str) -> bool:
    """Whether it is one of Fernet's: https://github.com/fernet/spec/blob/master/Spec.md"""
    with suppress(ValueError):
        return len(urlsafe_b64decode(text)) == 32
    return False
