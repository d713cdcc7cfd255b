"""What adapters are built on; other people's import it from `providers`."""

from . import paging
from .decoding import decode_json, decode_xml
from .errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from .http import (
    JSON,
    HTTPProvider,
    Next,
    Page,
    Request,
    User,
    Users,
    basic,
    bearer,
)
from .numbers import plus, to_e164
from .oauth import OAuthProvider, TokenRequest
from .options import Faults, Secret, did_you_mean, wholly
from .provider import ANYBODY, Deadline, PhoneNumber, Provider, Query
from .records import owner_ids
from .remarks import remarks

__all__ = [
    "ANYBODY",
    "JSON",
    "Deadline",
    "Faults",
    "HTTPProvider",
    "Next",
    "OAuthProvider",
    "Page",
    "PhoneNumber",
    "Provider",
    "ProviderError",
    "Query",
    "RateLimited",
    "Refused",
    "Request",
    "Secret",
    "TokenRequest",
    "Unreachable",
    "Unreadable",
    "User",
    "Users",
    "basic",
    "bearer",
    "decode_json",
    "decode_xml",
    "did_you_mean",
    "owner_ids",
    "paging",
    "plus",
    "remarks",
    "to_e164",
    "wholly",
]
