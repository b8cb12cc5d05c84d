"""Writes wait for the end of a turn of the loop, and for nothing else."""

import asyncio
from typing import Any

from serving.gateway.outbox import Outbox


async def test_what_is_added_in_a_turn_goes_out_at_its_end_in_order() -> None:
    out: list[int] = []
    outbox = Outbox(asyncio.get_running_loop())
    for n in range(3):
        outbox.add(lambda n=n: out.append(n))  # type: ignore[misc]
    assert out == []
    await asyncio.sleep(0)
    assert out == [0, 1, 2]
    outbox.add(lambda: out.append(3))
    await asyncio.sleep(0)
    assert out == [0, 1, 2, 3]


async def test_one_that_fails_does_not_hold_up_the_others() -> None:
    out: list[int] = []
    faults: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    outbox = Outbox(loop)
    outbox.add(lambda: out.append(1 // 0))
    outbox.add(lambda: out.append(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert out == [2]
    assert len(faults) == 1
