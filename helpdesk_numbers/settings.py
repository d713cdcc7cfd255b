"""Every setting of the service: name, help, default, secret or not.

The names in capitals are the environment variables. `make docs` writes docs/settings.md out of
this table, and a fault of a setting shows its description.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import click
import msgspec
from msgspec import Meta

from hubspot.schema import MAX_ID
from providers.base.options import URL, Secret

Id = Annotated[int, Meta(ge=1, le=MAX_ID - 1)]


class ConfigurationError(click.ClickException):
    """What the operator has to put right before the service can start, a line each."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        self.faults = faults
        super().__init__("the configuration is not usable:\n" + "\n".join(f"  {f}" for f in faults))


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings, parsed. `Service` in helpdesk_numbers/service.py reads them."""

    hubspot_client_secret: Annotated[
        tuple[Secret, ...],
        Meta(description="the app's client secret; several, comma-separated, while rotating"),
    ] = ()
    hubspot_app_id: Annotated[
        Id | None, Meta(description="the app this service answers for; another `appId` gets 403")
    ] = None
    hubspot_signature_versions: Annotated[
        tuple[Literal["v3", "v2", "v1"], ...],
        Meta(
            min_length=1,
            description="signature versions accepted, e.g. `v3,v2`; a request with a v3 signature"
            " is judged by that alone",
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
    hubspot_developer_api_key: Annotated[
        Secret | None,
        Meta(
            description="the developer account's key, with which the commands reach the app's"
            " settings at HubSpot"
        ),
    ] = None
    hubspot_access_token: Annotated[
        Secret | None,
        Meta(
            description="an access token, in place of `HUBSPOT_DEVELOPER_API_KEY`; wins if both are"
            " set"
        ),
    ] = None
    hubspot_api_version: Annotated[
        Literal["v3", "2025-09", "2026-03", "2026-09"],
        Meta(description="the generation of HubSpot's settings API that the commands use"),
    ] = "v3"
    hubspot_api_base_url: Annotated[
        URL, Meta(description="another HubSpot API host, such as a mock or a proxy")
    ] = "https://api.hubapi.com"
    directory: Annotated[str | None, Meta(description="path of the directory file")] = None
    directory_toml: Annotated[
        str | None,
        Meta(
            description="the directory itself as text, for platforms without files; not together"
            " with `DIRECTORY`"
        ),
    ] = None
    provider: Annotated[
        str | None,
        Meta(
            description="for a single account, without a directory: its provider, whose options are"
            " variables with its name in front, such as `TWILIO_ACCOUNT_SID`"
        ),
    ] = None
    hubspot_portal_ids: Annotated[
        tuple[Id, ...],
        Meta(
            description="required with `PROVIDER`: the portals, comma-separated, that may see the"
            " account's numbers"
        ),
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
            ge=0,
            description="seconds for which an account's last good answer may stand in when the"
            " account fails; `0` turns it off",
        ),
    ] = 600
    log_format: Annotated[Literal["json", "text"], Meta(description="`text` for people")] = "json"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="the least that is logged; requests are logged at `info`"),
    ] = "info"
    port: Annotated[
        int,
        Meta(
            ge=1,
            le=65535,
            description="the port; without it the service listens on its own machine alone, with it"
            " on all addresses",
        ),
    ] = 8000
    web_concurrency: Annotated[int, Meta(ge=1, description="gunicorn's worker processes")] = 2
    web_threads: Annotated[
        int,
        Meta(ge=1, description="threads of each worker: the requests that it works on at a time"),
    ] = 64


def serving_faults(given: Mapping[str, Any]) -> list[str]:
    """What is missing or contradictory, so that the service cannot answer.

    `given` are the settings by name, less those that are malformed.
    """
    faults: list[str] = []
    secrets = given.get("hubspot_client_secret")  # not there: it is malformed
    if secrets is not None and not (secrets and all(map(str.strip, secrets))):
        faults.append("HUBSPOT_CLIENT_SECRET: missing; without it no request can be proven")
    if any(secret.strip().startswith("pat-") for secret in secrets or ()):
        faults.append(
            "HUBSPOT_CLIENT_SECRET: this is a private app's access token; the app's client secret"
            " signs, which stands on the app's Auth page"
        )
    if given["directory"] and given["directory_toml"]:
        faults.append("DIRECTORY_TOML: not together with DIRECTORY; unset one of them")
    elif not given["directory"] and not given["directory_toml"]:
        if not given["provider"]:
            faults.append(
                "DIRECTORY: missing; set it, DIRECTORY_TOML, or PROVIDER for a single account"
            )
        elif given.get("hubspot_portal_ids") == ():
            faults.append(
                "HUBSPOT_PORTAL_IDS: missing; without it, any portal that installs the app"
                " would see the account's numbers"
            )
    return faults
