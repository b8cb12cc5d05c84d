"""Holds the ledger's records against what engines counted: every token that an engine made is in
one record, was made by a try that was given up, or is named here.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Subquery, func, select

from deployments.ledger import questions
from deployments.ledger.schema import ENGINE_COUNTS, REJECTED_LINES, USAGE
from deployments.ledger.settle import Source

#: Requests that are named, of those that do not agree.
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Reconciliation:
    records: int
    #: Records whose replica was asked and has counted; tokens are those of their answers.
    agreeing: int
    #: Request ids of the first that differ: a fault of ours.
    differing: tuple[str, ...]
    #: Records without a count of their replica, which died or has not told yet.
    estimated: int
    #: Counted requests without a record: a gateway's spool is still on its way, or was lost.
    unrecorded: tuple[str, ...]
    #: Completion tokens in the ledger, and of those the gateways' own estimates.
    ledger_tokens: int
    estimated_tokens: int
    #: Completion tokens that engines counted, and of those the ones of tries that were given up.
    engine_tokens: int
    abandoned_tokens: int
    #: Lines that were no record.
    rejected_lines: int

    @property
    def agrees(self) -> bool:
        return not (self.differing or self.unrecorded or self.rejected_lines)


def reconcile(connection: Connection, question: questions.Reconcile) -> Reconciliation:
    """Of requests that began on these days."""
    pairs = _pairs(question)
    tokens, counted = pairs.c.completion_tokens, pairs.c.counted_tokens
    sums = connection.execute(
        select(
            func.count(),
            func.count().filter(tokens == counted),
            func.count().filter(pairs.c.is_estimated),
            func.coalesce(func.sum(tokens), 0),
            func.coalesce(func.sum(tokens).filter(pairs.c.is_estimated), 0),
        ).select_from(pairs)
    ).one()
    differing = select(pairs.c.request_id).where(tokens != counted).limit(EXAMPLES)
    engine, abandoned = _engine_tokens(connection, question)
    return Reconciliation(
        records=sums[0],
        agreeing=sums[1],
        differing=tuple(connection.scalars(differing)),
        estimated=sums[2],
        unrecorded=_unrecorded(connection, question),
        ledger_tokens=int(sums[3]),
        estimated_tokens=int(sums[4]),
        engine_tokens=engine,
        abandoned_tokens=abandoned,
        rejected_lines=connection.scalar(select(func.count()).select_from(REJECTED_LINES)) or 0,
    )


def _pairs(question: questions.Reconcile) -> Subquery:
    """Each record beside what the replica that answered has counted, NULL where it has not."""
    key = (ENGINE_COUNTS.c.request_id, ENGINE_COUNTS.c.replica_id)
    tokens = func.sum(ENGINE_COUNTS.c.completion_tokens).label("tokens")
    counts = select(*key, tokens).where(ENGINE_COUNTS.c.day >= question.first)
    counted = counts.group_by(*key).subquery()
    is_same_request = counted.c.request_id == USAGE.c.request_id
    is_same_replica = counted.c.replica_id == USAGE.c.replica_id
    return (
        select(
            USAGE.c.request_id,
            USAGE.c.completion_tokens,
            counted.c.tokens.label("counted_tokens"),
            (USAGE.c.source == Source.ESTIMATE.value).label("is_estimated"),
        )
        .select_from(USAGE.outerjoin(counted, is_same_request & is_same_replica))
        .where(USAGE.c.day.between(question.first, question.last))
        .subquery()
    )


def _unrecorded(connection: Connection, question: questions.Reconcile) -> tuple[str, ...]:
    """Counts have the day on which they came."""
    counts = ENGINE_COUNTS.c
    known = select(USAGE.c.request_id).where(USAGE.c.request_id == counts.request_id).exists()
    missing = select(counts.request_id).where(
        counts.day.between(question.first, question.last), ~known
    )
    return tuple(connection.scalars(missing.distinct().limit(EXAMPLES)))


def _engine_tokens(connection: Connection, question: questions.Reconcile) -> tuple[int, int]:
    """Of the requests that began on these days; those of another replica than the one that
    answered were given up.
    """
    tokens, replica = ENGINE_COUNTS.c.completion_tokens, ENGINE_COUNTS.c.replica_id
    given_up = func.sum(tokens).filter(replica != USAGE.c.replica_id)
    row = connection.execute(
        select(func.coalesce(func.sum(tokens), 0), func.coalesce(given_up, 0))
        .select_from(ENGINE_COUNTS.join(USAGE, ENGINE_COUNTS.c.request_id == USAGE.c.request_id))
        .where(USAGE.c.day.between(question.first, question.last))
    ).one()
    return int(row[0]), int(row[1])
