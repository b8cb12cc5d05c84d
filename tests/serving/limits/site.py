"""Gateways and a Controller on one clock, for tests of how they keep a limit together."""

from serving.limits.account import Hold
from serving.limits.gate import Gate
from serving.limits.lender import SETTLE_S, Lender
from serving.limits.terms import Limits
from serving.limits.window import WINDOW_S
from serving.snapshot import KeyRecord
from tests.serving.limits.clock import Clock


class Site:
    def __init__(self, gateways: int, limits: Limits) -> None:
        self.clock = Clock()
        self.record = KeyRecord("k", "key", b"", 0, limits)
        self.gates: dict[str, Gate] = {}
        self.lender = Lender(self.clock() - SETTLE_S)
        #: When each request was let in, and where.
        self.let_in: list[tuple[float, str]] = []
        self._joined = 0
        for _ in range(gateways):
            self.join()

    def join(self) -> str:
        gate, name = Gate(self.clock), f"g{self._joined}"
        gate.set_keys([self.record], [])
        self.gates[name] = gate
        self._joined += 1
        return name

    def ask(self, name: str) -> bool:
        """Whether a request is let in there; it ends at once."""
        gate = self.gates[name]
        account = gate.account("k")
        if not gate.has_lease or account.exceeded() is not None:
            return False
        Hold((account,), 0, 0).settle(0)
        self.let_in.append((self.clock(), name))
        return True

    def poll(self, name: str) -> None:
        gate = self.gates[name]
        lease = self.lender.lend(gate.report(name), self.clock())
        if lease is not None:
            gate.take(lease)

    def poll_all(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            for name in self.gates:
                self.poll(name)
            self.clock.pass_(0.5)

    def held(self, name: str) -> float:
        """The share that may be used there, or was in the last minute."""
        account = self.gates[name].account("k")
        use = account.use("k")
        used = use.requests / (self.record.limits.requests_per_minute or 1)
        return max(account.share, min(used, use.held)) if self.gates[name].has_lease else used

    def last_minute(self) -> list[str]:
        """Where the requests of the last minute were let in."""
        return [name for at_s, name in self.let_in if self.clock() - WINDOW_S < at_s]
