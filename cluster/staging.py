"""Checkpoints come to the nodes' own disks, on all nodes at once, and are looked at there.

Rules
1. A node that has the shared root reads from it itself; to one that has none the files are pushed
   from here. What happens on a node is in `staging_script`, which is sent there.
2. A node that fails costs its own result and nobody else's time.
3. As long as something moves it is waited for; when nothing has moved for a while, no longer.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cluster.bundle import bundle
from cluster.errors import NodeFailed, StagingFailed
from cluster.inventory import Inventory, Node, Storage
from cluster.remote import Remote

SCRIPT = ("manifest", "checkpoint_folder", "filling", "staging_voice", "staging_script")
#: Of logins at once; what the shared file system gives is divided among them.
MAX_AT_ONCE = 32
#: A shared file system that stalls for longer than this is not waited for.
SILENCE_S = 300.0
#: A whole catalogue from a slow file system.
LONGEST_S = 24 * 3600.0
NO_PYTHON = 127


class State(StrEnum):
    """What became of a checkpoint on a node."""

    STAGED = "staged"
    PRESENT = "present"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Target:
    """A node, and the checkpoints (`organisation/name`) that it is to have."""

    remote: Remote
    storage: Storage
    sources: tuple[str, ...]

    @classmethod
    def of(cls, inventory: Inventory, node: Node, sources: tuple[str, ...]) -> "Target":
        return cls(Remote.of(inventory, node), inventory.storage_of(node), sources)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one checkpoint on one node; `source` is empty where a whole node failed."""

    node: str
    source: str
    state: State
    size_bytes: int = 0
    took_s: float = 0.0
    #: Why it failed, and what to do; a line each.
    cause: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """How far a checkpoint is on a node."""

    node: str
    source: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a node has of a checkpoint under one root."""

    node: str
    source: str
    root: str
    is_there: bool
    #: Of its manifest: equal ones are equal checkpoints. Empty without a manifest.
    digest: str
    revision: str
    #: Files that are missing or not what the manifest says; the first few.
    wrong: tuple[str, ...]
    #: Why it could not be looked at.
    cause: str = ""


Report = Callable[[Moved], None]
Event = dict[str, Any]


async def everywhere(
    targets: Sequence[Target], work: Callable[[Target], Awaitable[Sequence[Result]]]
) -> list[Result]:
    """Work on all nodes at once, the results in the order of the nodes."""
    gate = asyncio.Semaphore(MAX_AT_ONCE)

    async def one(target: Target) -> Sequence[Result]:
        async with gate:
            try:
                return await work(target)
            except NodeFailed as error:
                return [_failed(target, error.cause, error.fix)]

    results = await asyncio.gather(*map(one, targets))
    return [result for each in results for result in each]


async def stage(target: Target, report: Report) -> list[Result]:
    """From the shared root, which the node reads itself. Raises NodeFailed."""
    request = {
        "task": "stage",
        "local": require_local(target),
        "shared": target.storage.shared,
        "sources": target.sources,
    }
    return results(target, await ask(target.remote, request, report))


async def staged(
    target: Target, *, is_full: bool = False, report: Report = lambda _: None
) -> list[Found]:
    """What the node has under each of its roots: by manifest and sizes, or by digests too. Raises
    NodeFailed.
    """
    roots = target.storage.roots()
    request = {"task": "check", "roots": roots, "sources": target.sources, "is_full": is_full}
    events = await ask(target.remote, request, report)
    return [_found(target, event) for event in events if event["event"] in ("found", "failed")]


async def ask(remote: Remote, request: Event, report: Report) -> list[Event]:
    """Runs the script on the node with a request; answers with all that it said but progress.
    Raises NodeFailed.
    """
    ear = _Ear(remote.name, report)
    script = bundle(SCRIPT, request)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(SILENCE_S) as patience:

            def hear(line: str) -> None:
                patience.reschedule(loop.time() + SILENCE_S)
                ear.hear(line)

            outcome = await remote.run(
                "python3 -I -", timeout_s=LONGEST_S, stdin=script, on_line=hear
            )
    except TimeoutError as silence:
        cause = f"nothing moved for {SILENCE_S:.0f} s"
        fix = "look at the shared file system there, and at the disk"
        raise StagingFailed(remote.name, cause, fix) from silence
    if outcome.status == NO_PYTHON:
        fix = "on Debian and Ubuntu: sudo apt-get install python3"
        raise StagingFailed(remote.name, "it has no `python3`", fix)
    if not ear.has_ended:
        fix = "it takes a `python3` of 3.8 or later; what is done is kept: run it again"
        raise StagingFailed(remote.name, f"staging broke off: {outcome.cause()}", fix)
    return ear.events


def require_local(target: Target) -> str:
    """The root on the node's own disk. Raises StagingFailed."""
    if target.storage.local is None:
        fix = "name the folder on its own disk, `storage: {local: /path}`"
        raise StagingFailed(target.remote.name, "the inventory gives it no `storage.local`", fix)
    return target.storage.local


def results(target: Target, events: Sequence[Event]) -> list[Result]:
    """What the script said, as results."""
    return [
        _result(target, event)
        for event in events
        if event["event"] in ("staged", "failed", "refused")
    ]


class _Ear:
    """Takes in what the script says; a login's own greeting is no JSON."""

    def __init__(self, node: str, report: Report) -> None:
        self.events: list[Event] = []
        self.has_ended = False
        self._node = node
        self._report = report

    def hear(self, line: str) -> None:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return
        kind = event.get("event") if isinstance(event, dict) else None
        if kind == "end":
            self.has_ended = True
        elif kind == "progress":
            done, total = _whole(event, "done_bytes"), _whole(event, "total_bytes")
            self._report(Moved(self._node, _text(event, "source"), done, total))
        elif kind is not None:
            self.events.append(event)


def _result(target: Target, event: Event) -> Result:
    if event["event"] == "refused":
        return _failed(target, _text(event, "cause"), _text(event, "fix"))
    source = _text(event, "source")
    if event["event"] == "failed":
        cause, fix = _text(event, "cause"), _text(event, "fix")
        return Result(target.remote.name, source, State.FAILED, cause=cause, fix=fix)
    state = State.STAGED if event.get("is_new") else State.PRESENT
    size, took_s = _whole(event, "size_bytes"), event.get("took_s")
    seconds = took_s if isinstance(took_s, float) else 0.0
    return Result(target.remote.name, source, state, size, seconds)


def _failed(target: Target, cause: str, fix: str) -> Result:
    return Result(target.remote.name, "", State.FAILED, cause=cause, fix=fix)


def _found(target: Target, event: Event) -> Found:
    wrong = event.get("wrong")
    return Found(
        node=target.remote.name,
        source=_text(event, "source"),
        root=_text(event, "root"),
        is_there=event.get("is_there") is True,
        digest=_text(event, "digest"),
        revision=_text(event, "revision"),
        wrong=tuple(map(str, wrong)) if isinstance(wrong, list) else (),
        cause=_text(event, "cause"),
    )


def _text(event: Event, key: str) -> str:
    found = event.get(key)
    return found if isinstance(found, str) else ""


def _whole(event: Event, key: str) -> int:
    found = event.get(key)
    return found if type(found) is int else 0
