"""A gateway's usage on its way to the ledger, killed with SIGKILL at every step in turn.

python -m tests.faults.kill_points FOLDER

Forks a gateway for each step: it writes records, ships them to a real SQLite ledger, and dies at
that step. Then a successor on the same folder does its work. Prints one JSON line for each step.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from deployments.ledger import ledger as ledger_module
from deployments.ledger.database import FILE, open_engine, url_of
from deployments.ledger.errors import LedgerError
from deployments.ledger.ledger import Ledger
from serving import spool_part
from serving.gateway.shipper import Shipper
from serving.spool import Spool
from serving.spool_part import Part
from serving.spool_underway import Underway
from tests.deployments.ledger.records import NOON_S, sent, usage

RECORDS = 4
PART_BYTES = 700  # two records
BATCH_BYTES = 400  # one record

Step = Callable[[str], None]


def main() -> None:
    folder = Path(sys.argv[1])
    template = folder / "template"
    template.mkdir()
    asyncio.run(_make_ledger(template))
    for kill_at in count(1):
        home = folder / str(kill_at)
        home.mkdir()
        shutil.copy(template / FILE, home / FILE)
        if not _is_killed(home, kill_at):
            return
        print(json.dumps(asyncio.run(_succeed(home))), flush=True)


async def _make_ledger(home: Path) -> None:
    ledger = Ledger(home, lambda: NOON_S)
    await ledger.keys()
    await ledger.close()


def _is_killed(home: Path, kill_at: int) -> bool:
    """Whether there was such a step."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_live(home, kill_at))
        except BaseException:  # noqa: BLE001 - a child must not go on as its parent
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit("the gateway failed by itself")
    return os.WIFSIGNALED(status)


def _opened(home: Path) -> Ledger:
    """Its tables are there."""
    ledger = Ledger(home, lambda: NOON_S)
    ledger._engine = open_engine(url_of(home))
    return ledger


async def _live(home: Path, kill_at: int) -> None:
    steps = count(1)

    def step(name: str) -> None:
        if next(steps) == kill_at:
            (home / "killed_at").write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)

    _instrument(step)
    spool = Spool(home / "spool", "gateway.1", rotate_bytes=PART_BYTES)
    ledger = _opened(home)
    shipper = Shipper(spool, _sender(ledger))
    for number in range(RECORDS):
        slot = spool.note(sent(f"r{number}"))
        spool.append(usage(f"r{number}"))
        spool.let_go(slot)
        with (home / "acknowledged").open("a") as file:
            file.write(f"r{number}\n")
        if number % 2:
            await shipper.ship()
    await spool.close()
    await shipper.farewell()
    await ledger.close()


async def _succeed(home: Path) -> dict[str, Any]:
    """Another gateway on the same node; what is there afterwards."""
    began_s = time.monotonic()
    spool = Spool(home / "spool", "gateway.2")
    ledger = _opened(home)
    assert await Shipper(spool, _sender(ledger)).ship_orphans()
    succeeded_in_s = time.monotonic() - began_s
    await spool.close()
    found = await _found(home, ledger)
    await ledger.close()
    return {**found, "succeeded_in_s": succeeded_in_s}


def _sender(ledger: Ledger) -> Callable[[bytes], Any]:
    async def send(lines: bytes) -> bool:
        try:
            await ledger.record_usage(lines)
        except LedgerError:
            return False
        return True

    return send


async def _found(home: Path, ledger: Ledger) -> dict[str, Any]:
    """What is to be judged."""
    rows = await ledger._call(_rows)
    month = await ledger.month()
    acknowledged = home / "acknowledged"
    return {
        "killed_at": (home / "killed_at").read_text(),
        "acknowledged": acknowledged.read_text().split() if acknowledged.exists() else [],
        "recorded": rows,
        "summed": sum(each.requests for each in month.keys),
        "left": sorted(path.name for path in (home / "spool").iterdir()),
    }


def _rows(connection: Connection) -> list[str]:
    found = connection.exec_driver_sql("SELECT request_id FROM usage ORDER BY request_id")
    return [row[0] for row in found]


# Where it can die
def _instrument(step: Step) -> None:
    spool_part.BATCH_BYTES = BATCH_BYTES
    Part.append = _append_in_steps(step)  # type: ignore[method-assign]
    Path.unlink = _stepped(step, "unlink", Path.unlink)  # type: ignore[method-assign]
    os.posix_fallocate = _stepped(step, "allocate", os.posix_fallocate)
    Underway.note = _noted(step, Underway.note)  # type: ignore[method-assign]
    Spool.acknowledge = _stepped(step, "acknowledge", Spool.acknowledge)  # type: ignore[method-assign]
    ledger_module.transaction = _transaction_in_steps(step)  # type: ignore[attr-defined]


def _stepped(step: Step, name: str, work: Callable[..., Any]) -> Any:
    def stepped(*args: Any, **kwargs: Any) -> Any:
        step(f"before {name}")
        result = work(*args, **kwargs)
        step(f"after {name}")
        return result

    return stepped


def _noted(step: Step, note: Callable[..., Any]) -> Any:
    """What is before it, and on both sides of letting go, are steps already."""

    def noted(*args: Any) -> Any:
        slot = note(*args)
        step("after note")
        return slot

    return noted


def _append_in_steps(step: Step) -> Any:
    """As `Part.append`, piece by piece."""

    def append(part: Part, line: bytes) -> None:
        view, start, half = part._map, part.used, len(line) // 2
        assert view is not None
        step("before append")
        view[start : start + half] = line[:half]
        step("half a line")
        view[start + half : start + len(line)] = line[half:]
        step("a line without its end")
        view[start + len(line)] = 0x0A
        part.used += len(line) + 1
        step("after append")

    return append


def _transaction_in_steps(step: Step) -> Any:
    real = ledger_module.transaction  # type: ignore[attr-defined]

    @contextmanager
    def transaction(engine: Any) -> Iterator[Connection]:
        step("before transaction")
        with real(engine) as connection:
            yield connection
            step("before commit")
        step("after commit")

    return transaction


if __name__ == "__main__":
    main()
