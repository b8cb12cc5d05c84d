"""Accelerators that were promised and those that are there. Pure."""

import re
from collections import Counter

from cluster.accelerator import CPU_KIND, GIB
from cluster.checking.check import Check, Seen, fail, ok, skipped, some, warn
from cluster.inventory import Accelerators
from cluster.node_facts import Card

NAME = "accelerators"
#: A driver keeps a little more or less for itself than another.
TOLERANCE = 0.05
#: Less than this is no obstacle to an engine.
IDLE_MIB = 1024
FIX = "correct the inventory, or have the node mended (`nvidia-smi` and `dmesg` on it say more)"


def accelerators(seen: Seen) -> Check:
    """Number, kind and memory."""
    promised = seen.accelerators
    if promised is None:
        return skipped(NAME, "a head of its own")
    if promised.kind == CPU_KIND:
        return _slots(seen, promised)
    seen.require("gpus")
    cards = seen.facts.gpus.cards if seen.facts.gpus else ()
    wrong = _wrong(promised, cards)
    if wrong:
        return fail(NAME, wrong, FIX)
    text = f"{len(cards)} x {cards[0].name}"
    larger = min(card.memory_mib for card in cards) / 1024 / _promised_gib(promised)
    if larger > 1 + TOLERANCE:
        fix = "say how much in `accelerators.memory_gib`"
        return warn(NAME, f"{text} have {larger - 1:.0%} more memory than was promised", fix)
    return ok(NAME, text)


def _wrong(promised: Accelerators, cards: tuple[Card, ...]) -> str:
    wanted = f"{promised.count} x {promised.kind} were promised"
    if len(cards) != promised.count:
        return f"{len(cards)} GPUs are seen, {wanted}"
    others = [card.name for card in cards if not is_of_kind(card.name, promised.kind)]
    if others:
        return f"{_counted(others)}, {wanted}"
    least = min(card.memory_mib for card in cards) / 1024
    if least < _promised_gib(promised) * (1 - TOLERANCE):
        return f"a GPU has {least:.1f} GiB, {_promised_gib(promised):.1f} were promised"
    return ""


def _promised_gib(promised: Accelerators) -> float:
    each = promised.each()
    return each.memory_bytes / GIB if each else 0.0


def _counted(names: list[str]) -> str:
    return some([f"{count} x {name}" for name, count in Counter(names).items()])


def is_of_kind(name: str, kind: str) -> bool:
    """Whether a driver's name for a GPU is one of this kind. `NVIDIA H100 80GB HBM3` is a
    `h100-sxm-80gb`: only the other build says what it is, `PCIe`.
    """
    words = re.findall(r"[a-z0-9]+", name.lower())
    wanted = re.findall(r"[a-z0-9]+", kind.lower())
    if words == wanted:
        return True
    is_other = ("pcie" in words and "sxm" in wanted) or ("pcie" in wanted and "pcie" not in words)
    return bool(wanted) and wanted[0] in words and not is_other


def _slots(seen: Seen, promised: Accelerators) -> Check:
    """Of a CPU-only machine: whether its memory carries them."""
    system = seen.need("system", seen.facts.system)
    needed = promised.count * _promised_gib(promised)
    text = f"{promised.count} slots of {_promised_gib(promised):.1f} GiB"
    fix = "promise fewer, or give each less `memory_gib`"
    if system.memory_bytes < needed * GIB:
        return fail(NAME, f"{text}; the machine has {_gib(system.memory_bytes)}", fix)
    if system.available_bytes < needed * GIB and not seen.facts.runs_ours:
        return warn(
            NAME, f"{text}; {_gib(system.available_bytes)} are free", f"{fix}, or stop what runs"
        )
    return ok(NAME, text)


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f} GiB"


def gpu_use(seen: Seen) -> Check:
    """Whether somebody else's program has memory on a GPU."""
    name = "gpu use"
    seen.require("gpus")
    if seen.facts.gpus is None:
        return skipped(name, "no GPUs")
    found = [
        f"process {each.pid} has {each.memory_mib / 1024:.1f} GiB"
        for each in seen.facts.gpus.processes
        if not each.ours and each.memory_mib > IDLE_MIB
    ]
    if found:
        fix = "end it, an engine wants nearly all of the memory"
        return fail(name, some(found), fix)
    return ok(name, "nobody else's")
