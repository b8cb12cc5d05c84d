"""How good each replica is for a request, in (0, 1]; better is higher.

A scorer takes the slots of one replica set and gives a score for each, in their order.
"""

from serving.routing.table import Slot

#: Who will be behind this request, as a multiple of who is in the shortest queue now.
BEHIND = 2.0


def least_work(slots: list[Slot], asked_tokens: float, held_tokens: list[float]) -> list[float]:
    """By what the choice costs, in tokens of work, for a prompt of `asked_tokens` of which each
    replica holds `held_tokens`.

    What is ahead is waited for once. What has to be computed is waited for by this request and, if
    even the shortest queue is one, by those who will be behind it.
    """
    ahead = [slot.ahead_tokens for slot in slots]
    queue = min(ahead) / max(asked_tokens, slots[0].traffic.tokens)
    times = 1.0 + BEHIND * queue
    # What is asked is in each cost, and 1 more keeps it above zero.
    base = 1.0 + asked_tokens * times
    return [
        1.0 / (base + tokens - held * times)
        for tokens, held in zip(ahead, held_tokens, strict=True)
    ]


def least_ahead(slots: list[Slot]) -> list[float]:
    """By what is ahead alone, where all would have to compute the whole prompt."""
    return [1.0 / (1.0 + slot.ahead_tokens) for slot in slots]
