"""A gateway's metrics, read when Prometheus asks."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from serving import histogram
from serving.counts import OUTCOMES, ModelCounts
from serving.gateway.answers import Answers, reason_word, route_word
from serving.metrics import families
from serving.metrics.exposition import Histogram, Reading, by_value
from serving.routing.table import Slot

if TYPE_CHECKING:
    from serving.gateway.core import GatewayCore
    from serving.gateway.server import Server


def readings(core: "GatewayCore", server: "Server") -> Iterator[Reading]:
    for counts in core.counters.counts():
        yield from _of_model(counts)
    queued = {report.replica_set: report.queued for report in core.meters.report()}
    yield from by_value(families.QUEUED, queued)
    yield from _of_replicas(core.slots())
    yield from _of_answers(core.answers)
    yield Reading(families.CONNECTIONS, server.connections)
    yield Reading(families.CONTROLLER_SILENCE, core.silence_s)
    yield Reading(families.USAGE_BUFFERED, core.spool.buffered)
    yield Reading(families.USAGE_UNSHIPPED, core.spool.unshipped_bytes)
    if core.access_log is not None:
        yield Reading(families.LOG_DROPPED, core.access_log.dropped)
    if server.certificate is not None:
        yield Reading(families.CERTIFICATE_EXPIRES, server.certificate.expires_s)


def _of_model(counts: ModelCounts) -> Iterator[Reading]:
    model = (counts.model,)
    for outcome, count in zip(OUTCOMES, counts.outcomes, strict=True):
        yield Reading(families.REQUESTS, count, (counts.model, outcome))
    yield Reading(families.FALLBACKS, counts.fallbacks, model)
    yield Reading(families.RETRIES, counts.retries, model)
    yield Reading(families.TOKENS, counts.prompt_tokens, (counts.model, "prompt"))
    yield Reading(families.TOKENS, counts.cached_tokens, (counts.model, "cached"))
    yield Reading(families.TOKENS, counts.completion_tokens, (counts.model, "completion"))
    coarse, fine = histogram.BOUNDS_S, histogram.TOKEN_BOUNDS_S
    yield Reading(families.DURATION, Histogram(counts.durations, coarse), model)
    yield Reading(families.FIRST_TOKEN, Histogram(counts.first_tokens, coarse), model)
    yield Reading(families.BETWEEN_TOKENS, Histogram(counts.between_tokens, fine), model)


def _of_replicas(slots: Iterable[Slot]) -> Iterator[Reading]:
    in_flight: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for slot in slots:
        in_flight[slot.report.replica_set] += slot.in_flight
        left_out[slot.report.replica_set] += not slot.breaker.is_closed
    yield from by_value(families.IN_FLIGHT, in_flight)
    yield from by_value(families.LEFT_OUT, left_out)


def _of_answers(answers: Answers) -> Iterator[Reading]:
    for (kind, status), count in answers.by_status.items():
        yield Reading(families.ANSWERS, count, (route_word(kind), str(status)))
    for refusal, count in answers.by_reason.items():
        yield Reading(families.REFUSALS, count, (reason_word(refusal),))
