"""Money: whole billionths ("nanos") of whatever currency the operator's prices are in. Pure.

No floats: a sum is the same in whatever order its parts come, and a bill can be added up by hand.
"""

from decimal import Decimal, InvalidOperation
from typing import Annotated

import msgspec
from msgspec import Meta

#: Nanos of one unit of the currency.
UNIT_NANOS = 10**9
#: More is a mistake; it also fits every column.
MOST_NANOS = 10**9 * UNIT_NANOS
#: Of one request: its tokens may be a mistake, and the sums must stand it.
MOST_COST_NANOS = 10**6 * UNIT_NANOS
#: Of one token; a unit of the currency for each is a million for a million.
MOST_PRICE_NANOS = UNIT_NANOS

_PriceNanos = Annotated[int, Meta(ge=0, le=MOST_PRICE_NANOS)]


class Price(msgspec.Struct, frozen=True):
    """Nanos for one token: 250 where a million tokens cost 0.25."""

    input: _PriceNanos
    #: Of a prompt's tokens, those that were in a cache.
    cached_input: _PriceNanos
    output: _PriceNanos

    def cost_nanos(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> int:
        cached = min(cached_tokens, prompt_tokens)
        prompt = (prompt_tokens - cached) * self.input + cached * self.cached_input
        return min(prompt + completion_tokens * self.output, MOST_COST_NANOS)


NO_PRICE = Price(0, 0, 0)


def nanos_of(text: str, most: int, unit_nanos: int = UNIT_NANOS) -> int | None:
    """Of an amount as people write it, 0 to `most`; None for what is no such amount, or no whole
    number of nanos.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    if not (amount.is_finite() and 0 <= amount <= most):
        return None
    nanos = amount * unit_nanos
    return int(nanos) if nanos == nanos.to_integral_value() else None


def shown(nanos: int) -> str:
    """In units of the currency, exactly: `12.5`."""
    return f"{(Decimal(nanos) / UNIT_NANOS).normalize():f}"
