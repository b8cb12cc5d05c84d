"""What a key may use and how it stands among others: values that whoever keeps keys stores."""

from dataclasses import dataclass
from enum import IntEnum

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

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute", "concurrent", "tokens_per_month"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MOST:
                raise ValueError(f"{name} is {value}: give 1 to {MOST}, or leave it out")

    @property
    def is_of_month_only(self) -> bool:
        """Needs no share: the month's use is the same for every gateway."""
        return self.requests_per_minute is self.tokens_per_minute is self.concurrent is None


NO_LIMITS = Limits()
