"""What to do about a carrier's failure."""

from providers import ProviderError

_REMEDIES = {
    "refused": (
        "check the credentials, their permissions and the account's id: `flask providers` lists"
        " the options"
    ),
    "rate_limited": "wait, and find out what else uses up the account's limit",
    "unreachable": "check the network, base_url if it is set, and the carrier's status page",
}


def in_words(error: ProviderError) -> tuple[str, str]:
    """Return what a carrier's failure is, when to try again if it says, and what to do about it."""
    wait = f", try again in {error.retry_after_s:.0f} s" if error.retry_after_s else ""
    return f"{error}{wait}", error.remedy or remedy_of(error.outcome)


def remedy_of(outcome: str) -> str:
    """Return what to do about an account's outcome, where its adapter knows nothing better."""
    changed = "check base_url if it is set; if it is right, the carrier changed its API: report it"
    return _REMEDIES.get(outcome, changed)
