"""How good a replica is for a request, in (0, 1]; better is higher."""

from serving.routing.table import Slot


def least_load(slot: Slot) -> float:
    return 1.0 / (1 + slot.in_flight + slot.others)
