"""One soak from its beginning to its report."""

import asyncio
import os
import platform
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from deployments.ledger.reconcile import Reconciliation
from tests.soak.asking import Asked
from tests.soak.books import Books, problems
from tests.soak.crowd import Crowd
from tests.soak.fault import Fault, schedule
from tests.soak.health import Idle, Life, grown, leftovers, lives
from tests.soak.made import Made, made_now
from tests.soak.pace import Pace
from tests.soak.program import ROOT
from tests.soak.recovery import Struck, recoveries, unexplained
from tests.soak.report import Limit, Report
from tests.soak.site import Site, open_site
from tests.soak.tenant import TENANTS, Account
from tests.soak.watch import Watch, idle, idle_again

#: Shorter lives say nothing of memory.
LEAST_LIFE_S = 120.0


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a soak leaves to judge."""

    accounts: list[Account]
    asked: list[Asked]
    books: Books
    lives: list[Life]
    before: Idle
    after: Idle
    #: The ledger's own word, as `flotilla usage` would show it.
    told: Reconciliation
    #: What was found on the way.
    findings: list[str]


async def soak(pace: Pace, seed: int, folder: Path, faults: list[Fault] | None = None) -> Report:
    """With these faults, or those of the dice. Raises Unruly where it could not begin, or not end
    as it should.
    """
    if faults is None:
        faults = schedule(pace, random.Random(-seed))  # noqa: S311
    made = made_now(ROOT)
    async with open_site(folder, pace) as site:
        seen = await _lived(site, pace, seed, faults)
        return _report(site, made, pace, seed, seen)


async def _lived(site: Site, pace: Pace, seed: int, faults: list[Fault]) -> Seen:
    accounts = await site.start()
    before = await idle(site.gateways[0])
    crowd = Crowd(site.port, accounts, random.Random(seed))  # noqa: S311
    watch = Watch(site)
    watching = asyncio.create_task(watch.run(pace.sample_every_s))
    try:
        suffering = asyncio.create_task(site.suffer(faults))
        await crowd.come(pace.seconds, pace.requests_per_s, suffering)
    finally:
        watching.cancel()
    _keep(site, crowd.asked)
    findings = [*watch.findings, *await site.settle()]
    after = await idle_again(site.gateways[0], before)
    told = await site.leave()
    findings += [f"{name} holds records that are not in the ledger" for name in site.spooled()]
    findings += [said for program in site.programs for said in program.complaints()]
    recorded, (requests, tokens) = site.recorded()
    books = Books(crowd.asked, site.ran(), recorded, requests, tokens)
    found = lives(watch.samples, LEAST_LIFE_S)
    return Seen(accounts, crowd.asked, books, found, before, after, told, findings)


def _keep(site: Site, asked: list[Asked]) -> None:
    """For whoever has to find out why."""
    seen = {"struck": site.struck, "asked": asked}
    (site.folder / "seen.json").write_bytes(msgspec.json.encode(seen, enc_hook=str))


def _report(site: Site, made: Made, pace: Pace, seed: int, seen: Seen) -> Report:
    books, told = seen.books, seen.told
    limits = [_limit(site, seen, account) for account in seen.accounts]
    return Report(
        made=made,
        minutes=round(pace.seconds / 60, 2),
        seed=seed,
        machine=f"{os.cpu_count()} CPU threads, Python {platform.python_version()}",
        tenants=len(TENANTS),
        requests=len(seen.asked),
        kinds=books.kinds(),
        records=len(books.recorded),
        lost=len(books.lost()),
        doubled=len(books.doubled()),
        tokens=books.tokens(),
        agreeing=told.agreeing,
        estimated=told.estimated,
        limits=[limit for limit in limits if limit is not None],
        recoveries=recoveries(site.struck, seen.asked),
        lives=seen.lives,
        idle_before=seen.before,
        idle_after=seen.after,
        findings=judged(seen, site.struck, limits),
    )


def judged(seen: Seen, struck: list[Struck], limits: Sequence[Limit | None] = ()) -> list[str]:
    """What should not be so."""
    return [
        *seen.findings,
        *problems(seen.asked),
        *unexplained(seen.asked, struck),
        *seen.books.findings(),
        *(f"{name} differs from its engine's count" for name in seen.told.differing),
        *([f"{seen.told.rejected_lines} lines were no record"] if seen.told.rejected_lines else []),
        *leftovers(seen.before, seen.after),
        *(found for life in seen.lives for found in grown(life)),
        *(
            f"{limit.tenant} was let in {limit.most} times in a minute, {limit.allowed} are allowed"
            for limit in limits
            if limit is not None and limit.most > limit.allowed
        ),
    ]


def _limit(site: Site, seen: Seen, account: Account) -> Limit | None:
    per_minute = account.tenant.limits.requests_per_minute
    if per_minute is None:
        return None
    return Limit(
        account.tenant.name,
        per_minute,
        seen.books.most_in_a_minute(account.key_id),
        per_minute + site.most_gateways_in_a_minute(),
    )
