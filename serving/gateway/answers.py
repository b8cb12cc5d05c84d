"""What a gateway answered, counted by route and status, and its refusals by reason. Every label is
of a closed set: a path that is no route is the same as any other.
"""

from collections import Counter

from serving.errors import Refusal
from serving.gateway.exchange import Exchange
from serving.gateway.route import Kind

#: As proxies write it where the client left before there was an answer.
CLIENT_LEFT = 499


def status_of(exchange: Exchange) -> int:
    """Of an exchange that has ended."""
    return exchange.status or CLIENT_LEFT


def route_word(kind: Kind | None) -> str:
    """A route as a label; a path that is none has one too."""
    return "none" if kind is None else kind.name.lower()


def reason_word(refusal: Refusal) -> str:
    """Why a request was refused, as a label."""
    return refusal.name.lower()


class Answers:
    def __init__(self) -> None:
        self.by_status: Counter[tuple[Kind | None, int]] = Counter()
        self.by_reason: Counter[Refusal] = Counter()

    def add(self, exchange: Exchange) -> None:
        """Takes an exchange that has ended."""
        self.by_status[exchange.head.kind, status_of(exchange)] += 1
        if exchange.refusal is not None:
            self.by_reason[exchange.refusal] += 1
