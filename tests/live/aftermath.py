"""A fault on a real fleet: what clients saw of it, and what has to hold after it.

    def test_03_...(fault: Fault) -> None:
        call = fault.call("demo", 400)
        call.events(5)
        fault.strikes()
        os.kill(leader, signal.SIGKILL)
        assert fault.ends(call).kind == "200 cut, upstream_error"

What has to hold is checked when the test has ended: every call ended inside its deadline with an
answer of a known shape; each that a gateway took on is in the ledger, once; the ledger and the
engines agree; nothing runs or waits; no process, placement group or gateway is left over or
missing; and a plain request to each model is answered.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, NullPool, create_engine, select

from deployments.ledger.database import FILE
from deployments.ledger.questions import Reconcile
from deployments.ledger.reconcile import Reconciliation, reconcile
from deployments.ledger.schema import USAGE
from deployments.render import REPLICA_DEPLOYMENT
from ops.period import first_of_month, today
from serving.replica.warden import members
from tests.live.fleet_under_test import LiveFleet, wait_for
from tests.live.onlooker import BROKEN, COMPLETE, Answer, Call, Crowd, ask, question

#: Two engines' starts, one after the other, on a busy machine.
WHOLE_S = 420.0
#: Ledger and engines hear of each other a few times a second.
SETTLED_S = 60.0

Note = Callable[[str, object], None]


class Fault:
    """One of a test; `note` is where pytest keeps figures."""

    def __init__(self, fleet: LiveFleet, note: Note) -> None:
        self.fleet = fleet
        self._note = note
        self._struck_s = time.monotonic()
        self._answers: list[Answer] = []
        #: Whether it is a gateway that dies: the connections of its clients break then, and what
        #: it had not finished has no record. The ledger names such requests.
        self.is_of_a_gateway = False
        self._before = reconciliation(fleet)
        self._leaders = leaders(fleet)

    # What clients do
    def ask(self, model: str, tokens: int = 4, *, stream: bool = False) -> Answer:
        return self._keep(ask(self.fleet, model, tokens, stream=stream))

    def call(self, model: str, tokens: int) -> Call:
        """A stream; it is part of the report when `ends` was called."""
        return Call(self.fleet, question(model, tokens, stream=True))

    def ends(self, call: Call) -> Answer:
        return self._keep(call.end())

    @contextmanager
    def crowd(self, model: str, tokens: int = 16, clients: int = 4) -> Iterator[Crowd]:
        """Clients that ask while the block runs."""
        crowd = Crowd(self.fleet, model, tokens)
        try:
            with crowd.asking(clients):
                yield crowd
        finally:
            self._answers += crowd.answers

    def _keep(self, answer: Answer) -> Answer:
        self._answers.append(answer)
        return answer

    # What the test says
    def strikes(self) -> None:
        """The fault is now."""
        self._struck_s = time.monotonic()

    def measured(self, what: str, value: float, unit: str) -> None:
        """A figure for the report."""
        self._note("measured", f"{what} {value:.3g} {unit}")

    @property
    def since_s(self) -> float:
        """Seconds since the fault."""
        return time.monotonic() - self._struck_s

    @property
    def kinds(self) -> Counter[str]:
        return Counter(answer.kind for answer in self._answers)

    # What holds afterwards
    def heals(self) -> None:
        """Waits until the fleet is whole, then checks everything."""
        status = wait_for(lambda: whole(self.fleet), "the fleet to be whole", WHOLE_S)
        models = {replica["application"].rpartition(".")[0] for replica in status}
        wait_for(lambda: self._is_answered(models), f"answers of {models}", SETTLED_S)
        self._note("recovery_s", self.since_s)
        self._note("seen", dict(self.kinds))
        assert self.is_of_a_gateway or not self.kinds[BROKEN]
        wait_for(self._is_accounted, "the ledger to have each request once", SETTLED_S)
        wait_for(self._agrees, "the ledger and the engines to agree", SETTLED_S)
        now = {replica["pid"] for replica in status}
        assert [pid for leader in self._leaders - now for pid in members(leader)] == []
        assert placed(self.fleet) == len(status)

    def _is_answered(self, models: set[str]) -> bool | None:
        return {ask(self.fleet, model).kind for model in models} == {COMPLETE} or None

    def _is_accounted(self) -> bool | None:
        """The request id is the ledger's primary key: nothing can be in it twice."""
        ids = {answer.request_id for answer in self._answers if answer.was_accepted}
        with ledger_of(self.fleet) as ledger:
            return ids <= set(ledger.scalars(select(USAGE.c.request_id))) or None

    def _agrees(self) -> bool | None:
        """What other tests broke is in the ledger too, so it is compared with before."""
        now, before = reconciliation(self.fleet), self._before
        assert set(now.differing) <= set(before.differing)
        assert now.rejected_lines == before.rejected_lines
        return set(now.unrecorded) <= set(before.unrecorded) or None


def whole(fleet: LiveFleet) -> list[dict[str, Any]] | None:
    """The replicas, if every one is ready, each node has its gateways and nothing is under way."""
    status = fleet.status()
    nodes = Counter(gateway["node"] for gateway in status["gateways"])
    is_idle = all(
        (each["load"]["running"], each["load"]["waiting"]) == (0, 0)
        for each in status["replicas"]
        if each["load"] is not None
    ) and not any(gateway["in_flight"] for gateway in status["gateways"])
    is_ready = all(replica["state"] == "ready" for replica in status["replicas"])
    # That a replica died often is said for a while after it lives again.
    notes = [note for note in status["notes"] if " died " not in note]
    if is_ready and is_idle and nodes and set(nodes.values()) == {2} and not notes:
        return list(status["replicas"])
    return None


def leaders(fleet: LiveFleet) -> set[int]:
    """The processes of replicas that Ray knows to live."""
    actors = [each for each in fleet.ray_state("actors") if each["state"] == "ALIVE"]
    return {each["pid"] for each in actors if each["class_name"].endswith(f":{REPLICA_DEPLOYMENT}")}


@contextmanager
def ledger_of(fleet: LiveFleet) -> Iterator[Connection]:
    """Read beside the Controller, which writes."""
    url = f"sqlite:///file:{fleet.home / FILE}?mode=ro&uri=true"
    with create_engine(url, poolclass=NullPool).connect() as connection:
        yield connection


def reconciliation(fleet: LiveFleet) -> Reconciliation:
    with ledger_of(fleet) as ledger:
        return reconcile(ledger, Reconcile(first_of_month(), today()))


def placed(fleet: LiveFleet) -> int:
    """Placement groups that Ray holds for anyone."""
    groups = fleet.ray_state("placement_groups")
    return sum(group["state"] != "REMOVED" for group in groups)
