"""Gateways and a Controller on one clock, for tests of how they keep a limit together."""

from dataclasses import dataclass

from serving.limits.account import Hold
from serving.limits.gate import Gate
from serving.limits.lender import SETTLE_S, Lender
from serving.limits.terms import MOST, Limits
from serving.limits.window import WINDOW_S
from serving.snapshot import KeyRecord
from tests.serving.limits.clock import Clock


@dataclass(frozen=True, slots=True)
class Job:
    """What a request reserves, what it costs in the end, and how long it takes."""

    #: Tokens that are reserved.
    prompt: int = 0
    answer: int = 0
    #: Tokens that it costs; those of the answer are made evenly while it lasts.
    read: int = 0
    made: int = 0
    lasts_s: float = 0.0


AT_ONCE = Job()


@dataclass(slots=True)
class Charge:
    """Tokens as they count for a limit: reserved while the request runs, its cost afterwards."""

    at_s: float
    name: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Running:
    job: Job
    name: str
    hold: Hold
    charge: Charge


class Site:
    def __init__(self, gateways: int, limits: Limits) -> None:
        self.clock = Clock()
        self.record = KeyRecord("k", "key", b"", 0, limits)
        self.gates: dict[str, Gate] = {}
        self.lender = Lender(self.clock() - SETTLE_S)
        #: When each request was let in, and where.
        self.let_in: list[tuple[float, str]] = []
        #: One of each request that was let in, in the same order.
        self.charges: list[Charge] = []
        #: What streams made beyond what was reserved.
        self.grown: list[Charge] = []
        self.running: list[Running] = []
        self._joined = 0
        for _ in range(gateways):
            self.join()

    def join(self) -> str:
        gate, name = Gate(self.clock), f"g{self._joined}"
        gate.set_keys([self.record], [])
        self.gates[name] = gate
        self._joined += 1
        return name

    def ask(self, name: str, job: Job = AT_ONCE) -> bool:
        """Whether a request is let in there."""
        gate = self.gates[name]
        account = gate.account("k")
        if not gate.has_lease or account.exceeded() is not None:
            return False
        hold = Hold((account,), job.prompt, job.answer)
        charge = Charge(self.clock(), name, hold.tokens)
        self.let_in.append((self.clock(), name))
        self.charges.append(charge)
        self._go_on(Running(job, name, hold, charge))
        return True

    def work(self) -> None:
        """Streams make tokens; what is over is settled."""
        running, self.running = self.running, []
        for each in running:
            self._go_on(each)

    def _go_on(self, each: Running) -> None:
        job, passed_s = each.job, self.clock() - each.charge.at_s
        part = passed_s / job.lasts_s if passed_s < job.lasts_s else 1.0
        before = each.hold.tokens
        each.hold.grow(int(job.made * part))
        if each.hold.tokens > before:
            self.grown.append(Charge(self.clock(), each.name, each.hold.tokens - before))
        if part < 1.0:
            self.running.append(each)
        else:
            each.hold.settle(job.read + job.made)
            each.charge.tokens -= each.hold.tokens - job.read - job.made

    def cut(self, name: str) -> None:
        """What runs there ends now, and has cost what was reserved."""
        for each in [each for each in self.running if each.name == name]:
            each.hold.settle(each.hold.tokens)
            self.running.remove(each)

    def poll(self, name: str) -> None:
        gate = self.gates[name]
        lease = self.lender.lend(gate.report(name), self.clock())
        if lease is not None:
            gate.take(lease)

    def poll_all(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            self.work()
            for name in self.gates:
                self.poll(name)
            self.clock.pass_(0.5)

    def held(self, name: str) -> float:
        """The share that may be used there, or was in the last minute; of what runs the last one
        may be over it.
        """
        gate, limits = self.gates[name], self.record.limits
        account = gate.account("k")
        account.use("k")
        used = max(
            account.requests.used / (limits.requests_per_minute or MOST),
            account.tokens.used / (limits.tokens_per_minute or MOST),
            (account.in_flight - 1) / (limits.concurrent or MOST),
        )
        return max(account.share, used) if gate.has_lease else used

    def last_minute(self) -> list[Charge]:
        """Of the requests that were let in then."""
        return [each for each in self.charges if self.clock() - WINDOW_S < each.at_s]
