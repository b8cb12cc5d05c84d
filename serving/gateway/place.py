"""Finds a request its place at a model: says whose it is and how much work, and waits for its turn
where the model is saturated.
"""

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from serving.fairness.claim import Claim
from serving.gateway.config import Model
from serving.gateway.exchange import Exchange
from serving.gateway.turns import Stay
from serving.limits.terms import Priority
from serving.protocol import Checked
from serving.routing.route import Ask, Choice
from serving.snapshot import KeyRecord

if TYPE_CHECKING:
    from serving.gateway.core import GatewayCore

#: Whose a request without a key is.
_NOBODY = KeyRecord("", "", b"", 0)


class Place(msgspec.Struct, frozen=True):
    """A request's turn at a model."""

    #: None where the places are not counted.
    stay: Stay | None = None
    #: Where to send it, if that was found on the way and is not old.
    choice: Choice | None = None


_ANYWHERE = Place()


def tenant_of(key: KeyRecord | None) -> str:
    return "" if key is None else key.tenant or key.id


async def place(
    core: "GatewayCore", exchange: Exchange, checked: Checked, model: Model, ask: Ask
) -> Place:
    """Raises ApiError when there will be none in time."""
    line = core.lines.of(model.replica_set)
    if line is None:
        return _ANYWHERE
    claim = _claim(exchange, checked, ask, core.typical_tokens(model.replica_set))
    at_once = line.at_once(claim)
    if at_once is not None:
        return Place(at_once)
    # Where it has to be looked at closely: what is in a cache already is no work.
    choice = core.route(model.replica_set, ask)
    if choice is not None:
        claim = replace(claim, prompt_tokens=choice.prompt_tokens)
    with core.meters.of(model.replica_set).in_line():
        stay = await line.wait(claim)
    if stay is None:
        raise core.busy()
    return Place(stay, None if stay.has_waited else choice)


def _claim(exchange: Exchange, checked: Checked, ask: Ask, typical_tokens: float) -> Claim:
    key, claimed = exchange.head.key or _NOBODY, exchange.head.priority
    usual = min(Priority.STANDARD, key.priority)
    most = ask.most_output_tokens
    return Claim(
        tenant_of(key),
        key.weight,
        usual if claimed is None else claimed,
        ask.prompt_tokens,
        typical_tokens if most is None else min(typical_tokens, most),
        checked.body_bytes,
    )
