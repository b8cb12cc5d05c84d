"""What a key or a tenant may use and how it stands among others: values that whoever keeps keys
stores.

A holder is who a limit is for: a key by its id, or a tenant, which is all its keys together.
"""

from dataclasses import dataclass, fields
from enum import IntEnum

from serving.money import MOST_NANOS

#: A larger number is a mistake; it also fits every column and counter.
MOST = 2**53


class Priority(IntEnum):
    """Who goes first where a model is saturated. A request may claim its key's class or a lower
    one.
    """

    BATCH = 0
    STANDARD = 1
    INTERACTIVE = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """None is no limit. A minute is any 60 seconds, a month is a calendar month in UTC."""

    requests_per_minute: int | None = None
    #: Prompt and completion together.
    tokens_per_minute: int | None = None
    #: Requests under way at one time.
    concurrent: int | None = None
    tokens_per_month: int | None = None
    #: What models with a price may cost.
    nanos_per_month: int | None = None

    def __post_init__(self) -> None:
        for name, value in self.given.items():
            most = MOST_NANOS if name == "nanos_per_month" else MOST
            if not 1 <= value <= most:
                raise ValueError(f"{name} is {value}: give 1 to {most}, or leave it out")

    @property
    def given(self) -> dict[str, int]:
        """The limits there are, by name."""
        values = {name: getattr(self, name) for name in LIMIT_NAMES}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def is_of_month(self) -> bool:
        """Whether any is."""
        return not (self.tokens_per_month is self.nanos_per_month is None)

    @property
    def is_of_month_only(self) -> bool:
        """Needs no share: the month's use is the same for every gateway."""
        return self.requests_per_minute is self.tokens_per_minute is self.concurrent is None


LIMIT_NAMES = tuple(field.name for field in fields(Limits))
NO_LIMITS = Limits()


def tenant_holder(name: str) -> str:
    """A tenant's name among holders; no key's id has a colon."""
    return f"tenant:{name}"
