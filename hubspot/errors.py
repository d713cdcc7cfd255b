"""What can be wrong with a request that claims to be HubSpot's, and with asking HubSpot.

HubSpotError
├── InvalidSignature      not proven to come from HubSpot
├── NotChannelConnection  signed, but another call than the channel connection's
├── InvalidRequest        signed, but not the webhook's request
└── AppMismatch           signed and readable, but for another app

LookupFailed              HubSpot did not say who a user is
├── HubSpotUnavailable    it could not be asked, or asks us to wait
└── HubSpotRefused        it does not take the portal's token
    ├── PortalGone        the app is no longer installed in the portal
    ├── CodeRefused       an install's code was used before, is too old, or another app's
    └── AppRefused        our app's own configuration is wrong, which says nothing about a portal
"""


class HubSpotError(Exception):
    """The request cannot be answered with numbers. The message may be shown to the caller."""


class InvalidSignature(HubSpotError):
    """Not proven to come from HubSpot. `reason` is for the log, not for the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__("The request's signature is missing or not valid.")
        self.reason = reason


class NotChannelConnection(HubSpotError):
    """HubSpot signed the request, but made it for somebody else: an app's page or a workflow."""


class InvalidRequest(HubSpotError):
    """The body is not what HubSpot sends; the message names the field."""


class AppMismatch(HubSpotError):
    """The request is for another app than this service's."""


class LookupFailed(Exception):
    """HubSpot did not say who a user is. The message holds no address and no token."""

    retry_after_s: float | None = None
    of_one_user = False


class HubSpotUnavailable(LookupFailed):
    """HubSpot cannot be asked now: `retry_after_s` is how many seconds it asks us to wait, if it
    says. `of_one_user`: it answered, and others' answers may be better."""

    def __init__(
        self, message: str, retry_after_s: float | None = None, *, of_one_user: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_s, self.of_one_user = retry_after_s, of_one_user


class HubSpotRefused(LookupFailed):
    """HubSpot does not take the portal's token, or there is none.

    `remedy` is what to do; `scopes` are those that the token lacks, where that is why.
    """

    def __init__(self, message: str, remedy: str, scopes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.remedy, self.scopes = remedy, scopes


class PortalGone(HubSpotRefused):
    """The app is no longer installed in the portal, or the portal is no more."""

    def __init__(self) -> None:
        super().__init__(
            "the app is no longer installed in the portal",
            "install it there again, if it should be",
        )


class CodeRefused(HubSpotRefused):
    """An install's code was used before, is too old, or was made for another app."""

    def __init__(self) -> None:
        super().__init__("HubSpot refuses the install's code", "begin the install again")


class AppRefused(HubSpotRefused):
    """HubSpot refuses our app, for whatever portal. `of_secret`: another secret may be good."""

    def __init__(self, message: str, *, of_secret: bool = False) -> None:
        super().__init__(message, "compare it with the app's Auth page at HubSpot")
        self.of_secret = of_secret
