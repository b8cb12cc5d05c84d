"""Drives one accepted request to its end: wait for a replica, fit, dispatch, answer or refuse.

Rules
- One deadline over everything, the gateway's or a shorter one of the caller.
- Exactly one usage record, whatever happened.
- A request that waits for nothing but its answer has no task: it is sent at once, and the answer
  ends it. All others have one, from the start or since their first try failed.
- Whoever wants the job to end (client, deadline, drain) breaks it off with a reason: its task is
  cancelled. What has no task, or one that has not run yet and so would hear of nothing, ends there
  and then.
- What it held is freed when it ends. An error's traceback holds every frame it came through, and
  some of those hold the error: so whoever has dealt with one takes its traceback off.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from serving.errors import ApiError, Refusal
from serving.gateway import fault
from serving.gateway.auth import revoked_key
from serving.gateway.bill import Bill
from serving.gateway.config import Model
from serving.gateway.dispatch import Dispatch
from serving.gateway.ending import refused_by, unfinished
from serving.gateway.exchange import Exchange
from serving.gateway.refusal import NotTaken, upstream
from serving.in_flight import RequestInFlight, RequestPhase
from serving.limits.account import Hold
from serving.protocol import Checked
from serving.usage import Outcome

if TYPE_CHECKING:
    from serving.gateway.core import GatewayCore

_log = logging.getLogger(__name__)


class Job:
    __slots__ = (
        "_bill",
        "_checked",
        "_core",
        "_deadline_s",
        "_dispatch",
        "_exchange",
        "_has_waited",
        "_is_over",
        "_is_running",
        "_reason",
        "_reply_by_s",
        "_task",
    )

    def __init__(
        self,
        core: "GatewayCore",
        exchange: Exchange,
        checked: Checked,
        asked: Model,
        hold: Hold | None = None,
    ) -> None:
        self._core = core
        self._exchange = exchange
        self._checked = checked
        self._bill = Bill(core, exchange, checked, asked, hold)
        patience = exchange.head.patience
        self._deadline_s = self._bill.started_s + min(core.deadline_s, patience.whole_s)
        self._reply_by_s = self._bill.started_s + patience.first_byte_s
        #: From when it is known which model answers.
        self._dispatch: Dispatch | None = None
        self._has_waited = False
        self._reason: ApiError | None = None
        self._task: asyncio.Task[None] | None = None
        #: The task has begun, and ends the job itself.
        self._is_running = False
        self._is_over = False

    # What happens on the client's side
    def client_left(self) -> None:
        self._break_off()

    def pause(self) -> None:
        if self._dispatch is not None:
            self._dispatch.pause()

    def resume(self) -> None:
        if self._dispatch is not None:
            self._dispatch.resume()

    def sweep(self, now_s: float) -> None:
        self._bill.grow()
        if not self._core.auth.holds(self._exchange.key_id):
            self.stop(revoked_key())
        elif self._is_late(now_s):
            self._blame_for_silence(now_s)
            self.stop(ApiError(Refusal.DEADLINE_EXCEEDED, "The request took too long."))
        elif self._dispatch is not None:
            self._dispatch.sweep(now_s)

    def _is_late(self, now_s: float) -> bool:
        is_unanswered = now_s > self._reply_by_s and not self._exchange.is_started
        return is_unanswered or now_s > self._deadline_s

    def _blame_for_silence(self, now_s: float) -> None:
        """By the gateway's own deadline alone: an impatient caller proves nothing of a replica."""
        is_first = self._reason is None and not self._exchange.is_started
        is_ours = now_s - self._bill.started_s > self._core.deadline_s
        if is_first and is_ours and self._dispatch is not None:
            self._dispatch.blame_for_silence()

    def stop(self, reason: ApiError) -> None:
        """Ends the job with an answer; the first reason stands."""
        if self._reason is None:
            self._reason = reason
            self._break_off()

    def _break_off(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if not self._is_running:
            self._over(self._interrupted)

    # Who looks
    @property
    def started_s(self) -> float:
        return self._bill.started_s

    def seen(self, now_s: float) -> RequestInFlight:
        """As it stands at this moment."""
        bill, exchange = self._bill, self._exchange
        return RequestInFlight(
            id=exchange.id,
            key_id=exchange.key_id,
            tenant=exchange.tenant,
            model_asked=bill.asked.name,
            model_answers=bill.model.name,
            replica_id=bill.replica_id,
            phase=self._phase(),
            age_s=now_s - bill.started_s,
            tokens=bill.counted().completion_tokens if self._checked.streams else None,
            attempts=bill.attempts,
        )

    def _phase(self) -> RequestPhase:
        if self._dispatch is None:
            return RequestPhase.WAIT if self._has_waited else RequestPhase.FIT
        if not self._bill.attempts:
            return RequestPhase.QUEUE
        if not self._checked.streams:
            return RequestPhase.COMPUTE
        return RequestPhase.STREAM if self._exchange.is_started else RequestPhase.PREFILL

    # The way to the end
    def begin(self) -> None:
        """To be called once, as soon as the exchange knows its job."""
        try:
            is_sent = self._is_sent_at_once()
        except Exception as error:  # noqa: BLE001 - the boundary of a request
            self._over(partial(self._broken, error))
        else:
            if not is_sent:
                self._task = self._core.loop.create_task(self._run())

    def _is_sent_at_once(self) -> bool:
        core, asked = self._core, self._bill.asked
        if self._exchange.trace is not None or not core.is_served(asked.replica_set):
            return False
        fitted = core.fitter.quick(self._checked, asked)
        if fitted is None:
            return False
        self._dispatch = Dispatch(core, self._bill, fitted.max_tokens, has_waited=False)
        return self._dispatch.at_once(self._heard)

    def _heard(self, body: bytes, error: Exception | None) -> None:
        """How the try ended that was sent at once."""
        if error is None and self._dispatch is not None:
            error = self._finished(self._dispatch, body)
        if error is None:
            self._over()
        else:
            self._task = self._core.loop.create_task(self._run(error))

    def _finished(self, dispatch: Dispatch, body: bytes) -> Exception | None:
        """None where that was the end, one way or the other."""
        try:
            dispatch.finish(body)
        except NotTaken as failure:
            return failure.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - the boundary of a request
            self._over(partial(self._broken, error))
        return None

    def _over(self, say: Callable[[], None] | None = None) -> None:
        """The end without a task, after `say`. Whoever calls goes on with other requests, whatever
        goes wrong here.
        """
        try:
            try:
                if say is not None:
                    say()
            finally:
                self._end()
        except Exception as error:  # noqa: BLE001 - the boundary of a request
            self._log_fault(error)

    async def _run(self, failure: Exception | None = None) -> None:
        """`failure`: of what was sent at once."""
        self._is_running = True
        try:
            await self._answer(failure)
        except ApiError as error:
            is_started = self._exchange.is_started
            self._refuse(error, refused_by(error, self._bill.attempts, is_started=is_started))
            error.__traceback__ = None
        except NotTaken as failed:
            self._refuse(failed.error)
            failed.__traceback__ = None
        except asyncio.CancelledError:
            self._interrupted()
        except Exception as error:  # noqa: BLE001 - the boundary of a request
            self._broken(error)
        finally:
            self._end()

    def _interrupted(self) -> None:
        self._refuse(self._reason or upstream("The gateway stopped."))

    def _broken(self, error: Exception) -> None:
        """By a bug of ours."""
        self._log_fault(error)
        self._refuse(ApiError(Refusal.INTERNAL, "This is a fault of ours."), Outcome.FAILED)
        error.__traceback__ = None

    def _log_fault(self, error: Exception) -> None:
        extra = {"request_id": self._exchange.id}
        _log.error("request %s: %s", self._exchange.id, fault.where(error), extra=extra)

    def _end(self) -> None:
        """Does nothing the second time."""
        if self._is_over:
            return
        self._is_over = True
        try:
            if self._dispatch is not None:
                self._dispatch.close()
        finally:
            self._core.budget.in_flight -= 1
            self._core.answered(self._exchange, self._bill)

    async def _answer(self, failure: Exception | None) -> None:
        if self._dispatch is None:
            self._dispatch = await self._fitted()
        if failure is None:
            await self._dispatch.run()
        else:
            await self._dispatch.go_on(failure)

    async def _fitted(self) -> Dispatch:
        """From when it is known which model answers."""
        bill, checked, fitter = self._bill, self._checked, self._core.fitter
        asked = bill.asked
        if not self._core.is_served(asked.replica_set):
            await self._wait_for_replica(asked)
        first = self._core.standing_in(asked)
        fitted = fitter.quick(checked, first) or await fitter.fit(checked, first)
        bill.model = fitted.model
        if not self._core.is_served(fitted.model.replica_set):
            await self._wait_for_replica(fitted.model)
        return Dispatch(self._core, bill, fitted.max_tokens, self._has_waited)

    async def _wait_for_replica(self, model: Model) -> None:
        """Where one will come."""
        core, replica_set = self._core, model.replica_set
        if core.queue.has_outlook(replica_set):
            self._has_waited = True
            end_s = min(self._deadline_s, self._reply_by_s)
            await core.queue.wait(replica_set, self._checked.body_bytes, end_s)

    def _refuse(self, error: ApiError, outcome: Outcome | None = None) -> None:
        exchange = self._exchange
        outcome = outcome or unfinished(is_gone=exchange.is_gone, is_started=exchange.is_started)
        try:
            self._bill.close(outcome, is_stopped=self._reason is not None)
        finally:
            if exchange.is_started:
                exchange.cut(error)
            else:
                exchange.fail(error)
