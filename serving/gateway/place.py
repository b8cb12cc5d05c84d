"""Finds a request its place at a model: says whose it is and how much work, and waits for its turn
where the model is saturated.
"""

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from serving.fairness.claim import Claim
from serving.gateway.bill import Bill
from serving.gateway.turns import Stay
from serving.limits.terms import Priority
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


def place_at_once(
    core: "GatewayCore", bill: Bill, ask: Ask, *, has_waited: bool = False
) -> Place | None:
    """`has_waited`: for the model's first replica. None where it has to wait, or may not even do
    that.
    """
    replica_set = bill.model.replica_set
    line = core.lines.of(replica_set)
    if line is None:
        return _ANYWHERE
    claim = _claim(bill, ask, core.typical_tokens(replica_set), has_waited=has_waited)
    stay = line.at_once(claim)
    return None if stay is None else Place(stay)


async def place(core: "GatewayCore", bill: Bill, ask: Ask, *, has_waited: bool) -> Place:
    """Raises ApiError when none will come in time."""
    found = place_at_once(core, bill, ask, has_waited=has_waited)
    if found is not None:
        return found
    replica_set = bill.model.replica_set
    claim = _claim(bill, ask, core.typical_tokens(replica_set), has_waited=has_waited)
    # Where it has to be looked at closely: what is in a cache already is no work.
    choice = core.route(replica_set, ask)
    if choice is not None:
        claim = replace(claim, prompt_tokens=choice.prompt_tokens)
    line = core.lines.of(replica_set)
    with core.meters.of(replica_set).in_line():
        stay = None if line is None else await line.wait(claim)
    if stay is None:
        raise core.busy()
    return Place(stay, None if stay.has_waited else choice)


def _claim(bill: Bill, ask: Ask, typical_tokens: float, *, has_waited: bool) -> Claim:
    key, claimed = bill.exchange.head.key or _NOBODY, bill.exchange.head.priority
    usual = min(Priority.STANDARD, key.priority)
    most = ask.most_output_tokens
    return Claim(
        tenant=key.holder,
        weight=key.weight,
        priority=usual if claimed is None else claimed,
        prompt_tokens=ask.prompt_tokens,
        answer_tokens=typical_tokens if most is None else min(typical_tokens, most),
        body_bytes=bill.checked.body_bytes,
        has_waited=has_waited,
    )
