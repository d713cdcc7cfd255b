"""Carriers and calling platforms. `load(name)` gives an adapter's class, importing it only then."""

import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points

from . import base
from .base import *  # noqa: F403 - what adapters are built on, by its __all__
from .base import Provider, did_you_mean

__all__ = ["load", "names", "prefix"]
__all__ += base.__all__

GROUP = "helpdesk_numbers.providers"
"""The entry-point group of third parties' adapters."""

BUILT_IN = tuple(
    sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)  # noqa: F405
)
"""Modules of this folder: each is a carrier, and each folder is machinery, so there is no list to
keep, and a bare checkout needs no installation."""


def names() -> list[str]:
    """Return all providers that can be loaded: the built-in ones, then third parties'."""
    return [*BUILT_IN, *sorted(_third_parties().keys() - set(BUILT_IN))]


def load(name: str) -> type[Provider]:
    """Return the class of the provider called `name`.

    Raises:
        LookupError: there is none; the message says which come near.
        ImportError: a third party's package is broken.
    """
    if name in BUILT_IN:
        module = importlib.import_module(f"{__name__}.{name}")
        kinds = [kind for kind in vars(module).values() if isinstance(kind, type)]
        ours = (kind for kind in kinds if issubclass(kind, Provider))
        adapter: object = next((kind for kind in ours if vars(kind).get("name") == name), None)
    elif name in (others := _third_parties()):
        try:
            adapter = others[name].load()
        except Exception as error:  # whatever a stranger's module does when it is imported
            raise ImportError(f"{name} cannot be loaded: {type(error).__name__}") from error
    else:
        raise LookupError(f"no provider {name!r}{did_you_mean(name, names())}")
    if not (isinstance(adapter, type) and issubclass(adapter, Provider)):
        raise ImportError(f"{name} is no Provider")
    return adapter


def prefix(name: str) -> str:
    """Return what the environment variables of the provider's options begin with: `TWILIO_`."""
    return name.upper().replace("-", "_") + "_"


def _third_parties() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}
