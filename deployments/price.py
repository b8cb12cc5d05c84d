"""What a model costs, for a million tokens, in whatever currency the operator counts. Pure."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator

from cluster.strict import Strict
from serving import money

MOST = 1_000_000
#: Of a price for a million tokens, what it is for one.
_MILLIONTH_NANOS = money.UNIT_NANOS // 1_000_000


def _amount(given: Any) -> Decimal:
    """As it was written: YAML's floats say it in as many digits as they were given."""
    is_amount = isinstance(given, int | float | str | Decimal) and not isinstance(given, bool)
    if not is_amount or money.nanos_of(str(given), MOST, _MILLIONTH_NANOS) is None:
        raise ValueError(
            f"`{given!s:.40}` is no price: give 0 to {MOST} for a million tokens, "
            "with at most three decimals"
        )
    return Decimal(str(given))


Amount = Annotated[Decimal, BeforeValidator(_amount)]


class Price(Strict):
    """For a million tokens."""

    #: Of a prompt.
    input: Amount
    #: Of a prompt, what was in a cache; as much as the rest where it is left out.
    cached_input: Amount | None = None
    #: Of an answer.
    output: Amount

    def of_a_token(self) -> money.Price:
        cached = self.input if self.cached_input is None else self.cached_input
        return money.Price(_nanos(self.input), _nanos(cached), _nanos(self.output))


def _nanos(amount: Decimal) -> int:
    return int(amount * _MILLIONTH_NANOS)
