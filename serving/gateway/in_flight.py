"""The requests that a gateway has in flight, when somebody asks for them.

Its connections hold them anyway: they are looked through as often as somebody looks, at the price
of one sweep, and nothing is kept for it.
"""

import heapq
from collections.abc import Iterable

import msgspec

from serving.gateway.exchange import Job
from serving.in_flight import MOST_TOLD, InFlight


def in_flight(jobs: Iterable[Job], now_s: float) -> InFlight:
    """The oldest of them, by the loop's clock."""
    every = list(jobs)
    oldest = heapq.nsmallest(MOST_TOLD, every, key=lambda job: job.started_s)
    return InFlight(tuple(job.seen(now_s) for job in oldest), len(every))


def in_flight_json(jobs: Iterable[Job], now_s: float) -> bytes:
    return msgspec.json.encode(in_flight(jobs, now_s))
