"""The failed tries of one request, and whether it may be sent once more: the edge of
serving/routing/retry, which has the rules.

Made for a request whose first try has failed. A replica that died with a request is told of here,
so that no gateway loses a third one to it.
"""

from typing import TYPE_CHECKING

from serving.gateway.bill import Bill
from serving.gateway.refusal import DiedWithIt, NotReached, NotTaken, quarantined
from serving.protocol.fingerprint import fingerprint
from serving.routing.retry import Attempts

if TYPE_CHECKING:
    from serving.gateway.core import GatewayCore


class Retries:
    __slots__ = ("_attempts", "_bill", "_core", "_is_retrying")

    def __init__(self, core: "GatewayCore", bill: Bill) -> None:
        self._core = core
        self._bill = bill
        self._attempts = Attempts()
        #: It has a place in the retry budget.
        self._is_retrying = False

    @property
    def tried(self) -> tuple[str, ...]:
        """Replicas that are not asked again."""
        return self._attempts.tried

    async def after(self, failure: NotTaken, replica_id: str) -> None:
        """Returns when another replica may be asked; raises what the client hears otherwise."""
        self._attempts.failed(replica_id, failure.was_taken)
        await self._blame(failure, replica_id)
        if self._bill.exchange.is_started:
            raise failure
        if self._attempts.died_with_it > 1:
            raise quarantined()
        is_free = isinstance(failure, NotReached)
        if not self._attempts.may_retry() or not (is_free or self._may_spend()):
            raise failure

    async def _blame(self, failure: NotTaken, replica_id: str) -> None:
        if isinstance(failure, DiedWithIt) and failure.is_death:
            mark = fingerprint(self._bill.checked, self._bill.asked.replica_set)
            inquest = self._core.inquest
            inquest.blame(mark, replica_id)
            if not self._bill.exchange.is_started:
                await inquest.heard(mark)
            if mark in inquest.quarantined:
                raise quarantined()

    def _may_spend(self) -> bool:
        """Takes this request's place in the retry budget, or looks whether it may be kept."""
        if self._is_retrying:
            return self._core.budget.holds()
        self._is_retrying = self._core.budget.take()
        return self._is_retrying

    def close(self) -> None:
        """To be called once: its place in the budget is free again."""
        self._core.budget.retrying -= self._is_retrying
