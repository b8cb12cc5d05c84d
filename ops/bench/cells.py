"""Writes single figures of a run as the cells of a table. Pure."""

import math
from dataclasses import dataclass

from ops.bench.results import Results
from ops.bench.rivals import DIRECT, OURS
from ops.bench.shape import Shape
from ops.bench.stats import Spread, ratio

NOTHING = "-"
_RIG_BOUND = "*"
_FAILED = "!"


@dataclass(frozen=True)
class Fields:
    """Which figures a table quotes."""

    rate: str
    unit: str
    cpu: str
    cpu_unit: str
    p50: str
    p99: str
    latency: str


UNARY = Fields(
    rate="replies_per_s",
    unit="requests/s",
    cpu="cpu_s_per_1000_replies",
    cpu_unit="CPU s per 1,000 requests",
    p50="total_p50_ms",
    p99="total_p99_ms",
    latency="p50 / p99 ms",
)
STREAM = Fields(
    rate="chunks_per_s",
    unit="chunks/s",
    cpu="cpu_s_per_1000_chunks",
    cpu_unit="CPU s per 1,000 chunks",
    p50="first_p50_ms",
    p99="first_p99_ms",
    latency="first token p50 / p99 ms",
)


@dataclass(frozen=True)
class Cells:
    """The cells of one table."""

    results: Results
    fields: Fields

    def _figure(self, name: str, shape: Shape, field: str) -> Spread:
        return self.results.samples.figure(name, shape, field)

    def _median(self, name: str, shape: Shape, field: str) -> float:
        return self._figure(name, shape, field).median

    def rate(self, name: str, shape: Shape) -> str:
        samples = self.results.samples
        signs = _RIG_BOUND * samples.is_rig_bound(name, shape)
        signs += _FAILED * samples.has_errors(name, shape)
        figure = self._figure(name, shape, self.fields.rate)
        text = whole(figure.median) + signs
        if self.results.rounds == 1 or math.isnan(figure.median):
            return text
        return f"{text} ({whole(figure.low)}..{whole(figure.high)})"

    def lead(self, name: str, shape: Shape) -> str:
        ours = self._median(OURS.name, shape, self.fields.rate)
        return number(ratio(ours, self._median(name, shape, self.fields.rate)), 2)

    def cpu(self, name: str, shape: Shape) -> str:
        if name == DIRECT.name:
            return NOTHING
        return number(self._median(name, shape, self.fields.cpu), 4)

    def price(self, name: str, shape: Shape) -> str:
        if name == DIRECT.name:
            return NOTHING
        ours = self._median(OURS.name, shape, self.fields.cpu)
        return number(ratio(self._median(name, shape, self.fields.cpu), ours), 2)

    def added(self, name: str, alone: Shape) -> str:
        if name == DIRECT.name:
            return NOTHING
        fields = (self.fields.p50, self.fields.p99)
        one, other = (
            self._median(name, alone, field) - self._median(DIRECT.name, alone, field)
            for field in fields
        )
        return f"{number(one, 2)} / {number(other, 2)}"

    def latency(self, name: str, shape: Shape) -> str:
        one, other = (self._median(name, shape, f) for f in (self.fields.p50, self.fields.p99))
        return f"{number(one, 2)} / {number(other, 2)}"


def whole(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:,.0f}"


def number(value: float, digits: int) -> str:
    return NOTHING if math.isnan(value) else f"{value:,.{digits}f}"
