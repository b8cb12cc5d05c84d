"""What gateways and the Controller tell each other about limits: values only.

A share is a part of a holder's limits, the same part of each: 0.25 of a key with 60 requests and
8,000 tokens a minute is 15 requests and 2,000 tokens. A lease is whole, never a difference.
"""

from dataclasses import dataclass

#: How long a gateway that hears nothing goes on with its shares. A Controller that restarts is
#: back within half of it; of a gateway that was killed the share is idle for that and a minute.
LEASE_S = 120.0
#: A report that is not answered by then is lost; the next one says more.
ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class Use:
    """One holder at one gateway."""

    holder: str
    #: The share it has, or what was used in the last minute where that is more.
    held: float
    #: The share that it could use: what was used in the last minute, and refused just now.
    wanted: float = 0.0
    #: Used in the last minute.
    requests: int = 0
    tokens: int = 0
    #: Requests that were not let in, in the last minute.
    refused: int = 0


@dataclass(frozen=True, slots=True)
class ShareReport:
    """A gateway's word about every holder that used it in the last minute, or whose share is not
    `base`.
    """

    gateway_id: str
    #: Counts up: the Controller ignores what was overtaken on the way.
    number: int
    #: Of every holder that is not listed no more is held than this share.
    base: float
    uses: tuple[Use, ...] = ()
    #: It takes no more requests and says nothing more.
    is_leaving: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    holder: str
    share: float
    #: What the other gateways used in the last minute.
    requests_elsewhere: int = 0
    tokens_elsewhere: int = 0


NOTHING_ELSEWHERE = Share("", 0.0)


@dataclass(frozen=True, slots=True)
class Lease:
    """Good for `LEASE_S` from the moment at which the report left that it answers."""

    #: The share of every holder that is not listed.
    base: float
    shares: tuple[Share, ...] = ()
    #: When to report again.
    again_in_s: float = 0.5


#: For a gateway that is alone: all of every limit.
WHOLE = Lease(1.0)
