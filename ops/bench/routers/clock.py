"""Modelled time: the engines' seconds pass `speed` times as fast as the wall's."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    wall_s: Callable[[], float]
    speed: float

    def now_s(self) -> float:
        return self.wall_s() * self.speed

    def wall_at(self, modelled_s: float) -> float:
        return modelled_s / self.speed
