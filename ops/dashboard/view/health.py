"""Three colours of everything that is shown, and which states have which. Pure."""

from collections.abc import Iterable
from enum import StrEnum


class Health(StrEnum):
    """Worse ones come later."""

    WELL = "well"
    #: On its way to somewhere: starting, draining, leaving.
    BUSY = "busy"
    ILL = "ill"


_STATES = {
    "ready": Health.WELL,
    "running": Health.WELL,
    "starting": Health.BUSY,
    "draining": Health.BUSY,
    "deploying": Health.BUSY,
    "deleting": Health.BUSY,
    "not_started": Health.BUSY,
}
_ORDER = list(Health)


def health_of(state: str) -> Health:
    """A state that nobody has heard of is no good one."""
    return _STATES.get(state, Health.ILL)


def worst(healths: Iterable[Health]) -> Health:
    """Nothing at all is well."""
    return max(healths, key=_ORDER.index, default=Health.WELL)
