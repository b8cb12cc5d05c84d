"""Measures TCP between the machines of an inventory: from each to the head, one after the other,
and around a ring of all, at once.

Rules
1. Only machines that have answered take part, and a stream waits for its own two ends only.
2. Tokens are of this run, one for each sender, and travel on stdin.
3. What a receiver says is read as an outsider's: a line of another shape is no line.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from cluster.checking.bandwidth import Stream, bandwidths
from cluster.errors import NodeUnreachable
from cluster.inventory import Inventory, Machine
from cluster.preflight import Report
from cluster.remote import Remote
from cluster.stream_probe import MARK, STREAM_S, TOKEN_BYTES
from cluster.strict import Strict

PROBE = Path(__file__).with_name("stream_probe.py")
#: Beyond that many nodes the ring alone is measured.
MAX_TO_HEAD = 64
#: Streams of a ring at once; each has two logins.
MAX_AT_ONCE = 16
#: Of a login and the start of a script.
START_DEADLINE_S = 30
#: For the last figures to arrive when a sender has failed.
LINGER_S = 2.0


class _Line(Strict):
    """What a receiver says: its port, or a stream that has ended."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    sender: str | None = None
    bytes: Annotated[int, Field(ge=1, lt=1 << 40)] = 1
    seconds: Annotated[float, Field(gt=1e-6, lt=1e5)] = 1.0


@dataclass(frozen=True, slots=True)
class _Meeting:
    """One receiver and its senders."""

    receiver: Machine
    senders: Sequence[Machine]
    to_head: bool

    @property
    def deadline_s(self) -> int:
        return START_DEADLINE_S + int(4 * STREAM_S * len(self.senders))


@dataclass(slots=True)
class _Heard:
    """What a receiver has said so far."""

    port: "asyncio.Future[int]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    rates: dict[str, float] = field(default_factory=dict)

    def hear(self, text: str) -> None:
        if not text.startswith(MARK):
            return
        try:
            line = _Line.model_validate_json(text.removeprefix(MARK))
        except ValidationError:
            return
        if line.port is not None and not self.port.done():
            self.port.set_result(line.port)
        if line.sender is not None:
            self.rates[line.sender] = line.bytes / line.seconds


async def with_bandwidth(inventory: Inventory, reports: Sequence[Report]) -> tuple[Report, ...]:
    """The reports, each with a verdict on its machine's streams. Raises PrerequisiteMissing."""
    machines = [report.machine for report in reports if report.answered]
    checks = bandwidths(await _streams(inventory, machines))
    return tuple(
        report.adding(checks[report.machine.name]) if report.machine.name in checks else report
        for report in reports
    )


async def _streams(inventory: Inventory, machines: Sequence[Machine]) -> list[Stream]:
    gate = asyncio.Semaphore(MAX_AT_ONCE)

    async def held(meeting: _Meeting) -> list[Stream]:
        async with gate:
            return await _held(inventory, meeting)

    to_head = [stream for each in _at_head(inventory, machines) for stream in await held(each)]
    around = await asyncio.gather(*map(held, _ring(machines, alone=not to_head)))
    return [*to_head, *(stream for streams in around for stream in streams)]


def _at_head(inventory: Inventory, machines: Sequence[Machine]) -> list[_Meeting]:
    head = inventory.head_machine()
    if head is None or head not in machines or not 2 <= len(machines) <= MAX_TO_HEAD:
        return []
    return [_Meeting(head, [each for each in machines if each != head], to_head=True)]


def _ring(machines: Sequence[Machine], *, alone: bool) -> list[_Meeting]:
    """Each sends to the next; two that have met at the head are no ring."""
    if len(machines) < (2 if alone else 3):
        return []
    following = [*machines[1:], machines[0]]
    return [
        _Meeting(receiver, [sender], to_head=False)
        for sender, receiver in zip(machines, following, strict=True)
    ]


async def _held(inventory: Inventory, meeting: _Meeting) -> list[Stream]:
    tokens = {secrets.token_hex(TOKEN_BYTES // 2): each.name for each in meeting.senders}
    heard = _Heard()
    call = _call("receive", meeting.receiver.address, tokens, meeting.deadline_s)
    receiving = asyncio.create_task(_run(inventory, meeting.receiver, call, meeting, heard.hear))
    try:
        causes = await _causes(inventory, meeting, list(tokens), heard.port, receiving)
        await asyncio.wait({receiving}, timeout=LINGER_S if any(causes) else None)
    finally:
        receiving.cancel()
        await asyncio.wait({receiving})
    return [
        Stream(
            sender.name,
            meeting.receiver.name,
            meeting.to_head,
            None if cause else heard.rates.get(sender.name),
            cause or "no figure came back",
        )
        for sender, cause in zip(meeting.senders, causes, strict=True)
    ]


async def _causes(
    inventory: Inventory,
    meeting: _Meeting,
    tokens: Sequence[str],
    port: "asyncio.Future[int]",
    receiving: "asyncio.Task[str]",
) -> list[str]:
    """Why each sender has failed; empty where it has not."""
    first: set[asyncio.Future[Any]] = {receiving, port}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    if not port.done():
        return [f"it takes no streams: {receiving.result()}"] * len(tokens)
    address, deadline_s = meeting.receiver.address, meeting.deadline_s
    calls = [_call("send", address, port.result(), token, deadline_s) for token in tokens]
    return await asyncio.gather(
        *(
            _run(inventory, sender, call, meeting)
            for sender, call in zip(meeting.senders, calls, strict=True)
        )
    )


def _call(name: str, *arguments: Any) -> bytes:
    """The script, with what it is to do as its last line."""
    line = f"{name}(*json.loads({json.dumps(arguments)!r}))"
    return f"{PROBE.read_text()}\n\n{line}\n".encode()


async def _run(
    inventory: Inventory,
    machine: Machine,
    script: bytes,
    meeting: _Meeting,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Why it failed; empty when it did not."""
    remote = Remote.of(inventory, machine)
    try:
        outcome = await remote.run(
            "python3 -", timeout_s=meeting.deadline_s, stdin=script, on_line=on_line
        )
    except NodeUnreachable as error:
        return error.cause
    return outcome.cause() if outcome.status else ""
