"""What gateways are told of the ledger: changes at once, and the truth about what nobody knows."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from deployments.ledger.acts import CreateKey
from deployments.ledger.bookkeeper import Bookkeeper, Knowledge
from deployments.ledger.errors import ActRefused, LedgerError, LedgerUnreachable, LedgerUnusable
from deployments.ledger.ledger import Ledger
from deployments.ledger.trust import UNREACHABLE_S, UNUSABLE_S
from serving.snapshot import NO_USAGE, KeyNews, KeyRecord, UsageReport

KEY = KeyRecord("abcdefgh", "laptop", b"\x01" * 32, 5)


class FakeLedger:
    def __init__(self) -> None:
        self.held: tuple[KeyRecord, ...] = ()
        self.failure: LedgerError | None = None
        #: Where a look is held up between what it reads.
        self.gate: asyncio.Event | None = None

    async def keys(self) -> tuple[KeyRecord, ...]:
        if self.failure is not None:
            raise self.failure
        return self.held

    async def month(self) -> UsageReport:
        if self.gate is not None:
            await self.gate.wait()
        return NO_USAGE

    async def forget(self) -> int:
        raise AssertionError("a look forgets nothing")

    async def perform(self, act: Any, who: str) -> str:
        if self.failure is not None:
            raise self.failure
        self.held = (*self.held, replace(KEY, id=act.name))
        return "shown"


class World:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.ledger = FakeLedger()
        self.told: list[Knowledge] = []
        ledger = cast(Ledger, self.ledger)
        self.bookkeeper = Bookkeeper(ledger, self.told.append, lambda: self.now_s)

    async def look(self, at_s: float = 0.0) -> Knowledge | None:
        """The newest that was told."""
        self.now_s = at_s
        await self.bookkeeper.look()
        return self.told[-1] if self.told else None


@pytest.fixture
def world() -> World:
    return World()


async def test_keys_are_told_with_the_first_look(world: World) -> None:
    world.ledger.held = (KEY,)
    assert await world.look() == Knowledge((KEY,), KeyNews.CURRENT)
    assert world.bookkeeper.has_looked.is_set()
    await world.look()
    assert len(world.told) == 1


async def test_an_act_is_told_before_it_is_answered(world: World) -> None:
    assert await world.bookkeeper.perform(CreateKey("new"), "alice") == "shown"
    assert [key.id for key in world.told[-1].keys] == ["new"]


async def test_a_ledger_that_was_never_read_says_nothing_of_keys(world: World) -> None:
    world.ledger.failure = LedgerUnreachable("away")
    assert await world.look() is None
    assert world.bookkeeper.has_looked.is_set()


async def test_keys_hold_for_an_hour_without_the_ledger_and_no_longer(world: World) -> None:
    world.ledger.held = (KEY,)
    await world.look()
    world.ledger.failure = LedgerUnreachable("away")
    assert await world.look(UNREACHABLE_S - 1) == Knowledge((KEY,), KeyNews.CURRENT)
    assert await world.look(UNREACHABLE_S) == Knowledge((KEY,), KeyNews.LOST)
    world.ledger.failure = None
    assert await world.look(UNREACHABLE_S + 5) == Knowledge((KEY,), KeyNews.CURRENT)


async def test_keys_of_a_damaged_ledger_hold_for_a_minute(world: World) -> None:
    world.ledger.held = (KEY,)
    await world.look()
    world.ledger.failure = LedgerUnusable("malformed")
    assert await world.look(10) == Knowledge((KEY,), KeyNews.CURRENT)
    assert await world.look(10 + UNUSABLE_S - 1) == Knowledge((KEY,), KeyNews.CURRENT)
    assert await world.look(10 + UNUSABLE_S) == Knowledge((KEY,), KeyNews.LOST)


async def test_an_act_that_is_refused_is_the_operators_to_hear(world: World) -> None:
    world.ledger.failure = ActRefused("no")
    with pytest.raises(ActRefused):
        await world.bookkeeper.perform(CreateKey("new"), "alice")
    assert world.told == []


async def test_an_older_look_is_not_told_after_a_newer_one(world: World) -> None:
    world.ledger.gate = asyncio.Event()
    old = asyncio.ensure_future(world.bookkeeper.look())
    await asyncio.sleep(0)
    act = asyncio.ensure_future(world.bookkeeper.perform(CreateKey("new"), "alice"))
    await asyncio.sleep(0)
    world.ledger.gate.set()
    await asyncio.gather(old, act)
    assert [len(known.keys) for known in world.told][-1] == 1
