"""What can be wrong with a request that claims to be HubSpot's.

HubSpotError
├── InvalidSignature      not proven to come from HubSpot
├── NotChannelConnection  signed, but another call than the channel connection's
├── InvalidRequest        signed, but not the webhook's request
└── AppMismatch           signed and readable, but for another app
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
