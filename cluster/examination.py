"""Asks the machines of an inventory what they are, all at once, and has the answers judged.

Rules
1. A machine that is dead, slow or talks nonsense costs its own report and nobody else's time.
2. Nothing is changed on any machine, and nothing stays behind on one.
"""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.checking.check import Check, Seen, Wanted, fail
from cluster.checking.disk import storage_of
from cluster.errors import NodeUnreachable
from cluster.inventory import Inventory, Machine
from cluster.node_facts import MARK, read_facts
from cluster.preflight import Report, judged, machines, silent
from cluster.ray_up import HOME, INSTALL
from cluster.remote import Outcome, Remote

PROBE = Path(__file__).with_name("probe.py")
#: The probe's own deadline, the login before it, and a busy machine.
PROBE_DEADLINE_S = 45.0
#: Of connections at once; a dead machine holds its own for ten seconds.
MAX_AT_ONCE = 32
NO_PYTHON = 127


@dataclass(frozen=True, slots=True)
class Here:
    """Where this machine has what others have in their user's home."""

    install: str
    home: str


async def examine(inventory: Inventory, gateway_port: int) -> tuple[Report, ...]:
    """A report on every machine of the inventory, over ssh. Raises PrerequisiteMissing where there
    is no `ssh`.
    """
    wanted = Wanted(gateway_port)
    gate = asyncio.Semaphore(MAX_AT_ONCE)

    async def one(machine: Machine) -> Seen | Report:
        async with gate:
            return await _asked(inventory, machine, wanted)

    answers = await asyncio.gather(*map(one, machines(inventory)))
    return _reports(answers)


async def examine_here(inventory: Inventory, gateway_port: int, here: Here) -> tuple[Report, ...]:
    """A report on this machine, the only one of the inventory, without ssh."""
    machine = inventory.nodes[0]
    question = {**_question(inventory, machine), "install": here.install, "home": here.home}
    outcome = await asyncio.to_thread(_run_here, _script(question))
    wanted = Wanted(gateway_port, alone=True)
    return _reports([_understood(inventory, machine, wanted, outcome, time.time())])


def _reports(answers: list[Seen | Report]) -> tuple[Report, ...]:
    """In the order of the answers."""
    seen = [answer for answer in answers if isinstance(answer, Seen)]
    found = iter(judged(seen))
    return tuple(next(found) if isinstance(answer, Seen) else answer for answer in answers)


async def _asked(inventory: Inventory, machine: Machine, wanted: Wanted) -> Seen | Report:
    heard = _Heard()
    try:
        outcome = await Remote.of(inventory, machine).run(
            "python3 -",
            timeout_s=PROBE_DEADLINE_S,
            stdin=_script(_question(inventory, machine)),
            on_line=heard.hear,
        )
    except NodeUnreachable as error:
        return silent(machine, fail("ssh", error.cause, error.fix))
    return _understood(inventory, machine, wanted, outcome, heard.at_s)


class _Heard:
    """When a machine's answer came: only the way here lies between its clock and ours."""

    def __init__(self) -> None:
        self.at_s = time.time()

    def hear(self, line: str) -> None:
        self.at_s = time.time()


def _question(inventory: Inventory, machine: Machine) -> dict[str, Any]:
    head = inventory.head_machine()
    roots = storage_of(inventory, machine)
    return {
        "mark": MARK,
        "address": machine.address,
        "head": head.address if head else None,
        "local": roots.local,
        "shared": roots.shared,
        "install": f"{INSTALL}/.venv",
        "home": HOME,
    }


def _script(question: dict[str, Any]) -> bytes:
    """The probe, with its question as the last line."""
    return f"{PROBE.read_text()}\n\nmain(json.loads({json.dumps(question)!r}))\n".encode()


def _understood(
    inventory: Inventory, machine: Machine, wanted: Wanted, outcome: Outcome, at_s: float
) -> Seen | Report:
    if outcome.status == NO_PYTHON:
        fix = "install it, on Debian and Ubuntu: sudo apt-get install python3"
        return silent(machine, fail("facts", "there is no `python3`", fix))
    try:
        facts = read_facts(outcome.stdout)
    except ValueError as error:
        return silent(machine, _no_facts(outcome, str(error)))
    return Seen(inventory, machine, facts, facts.clock_s - at_s, wanted)


def _no_facts(outcome: Outcome, cause: str) -> Check:
    if outcome.status:
        fix = "it takes a `python3` of 3.8 or later, and a login that runs commands"
        return fail("facts", f"its `python3` failed: {outcome.cause()}", fix)
    return fail("facts", cause, "the user's shell must run commands and print nothing of its own")


def _run_here(script: bytes) -> Outcome:
    try:
        done = subprocess.run(
            [sys.executable, "-"],
            input=script,
            capture_output=True,
            timeout=PROBE_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(1, "", f"took longer than {PROBE_DEADLINE_S:.0f} s")
    said, complained = (each.decode(errors="replace") for each in (done.stdout, done.stderr))
    return Outcome(done.returncode, said, complained)
