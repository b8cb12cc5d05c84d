"""Prometheus finds every process that listens, in a file that nobody else can read."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deployments import scraping
from deployments.scrape_targets import Targets, targets
from deployments.scraping import Scraping
from serving.metrics import families
from serving.metrics.exposition import Reading
from serving.snapshot import GatewayReport
from tests.faults.site import until
from tests.serving.reports import replica

GATEWAY = GatewayReport("gateway.1", "n", 1, "n:8000", metrics_address="n:4001")


def test_who_does_not_listen_yet_is_no_target() -> None:
    starting = replace(replica("m.1"), address="")
    found = targets([replica(), starting], [GATEWAY, replace(GATEWAY, metrics_address="")])
    assert [each.to_group() for each in found] == [
        {
            "targets": ["n:1"],
            "labels": {"part": "replica", "node": "n", "instance": "m.0", "model": "m"},
        },
        {
            "targets": ["n:4001"],
            "labels": {"part": "gateway", "node": "n", "instance": "gateway.1"},
        },
    ]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scraping, "this_address", lambda: "127.0.0.1")
    monkeypatch.setattr(scraping, "PERIOD_S", 0.01)


def groups(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text())) if path.exists() else []


async def listed(path: Path, count: int) -> list[dict[str, Any]]:
    """The file's groups, when there are so many."""
    await until(lambda: len(groups(path)) == count)
    return groups(path)


async def ended(made: Scraping) -> None:
    assert made._keeping is not None
    made._keeping.cancel()
    await asyncio.gather(made._keeping, return_exceptions=True)


@pytest.mark.usefixtures("here")
async def test_the_list_follows_the_fleet_and_the_controller_is_on_it(tmp_path: Path) -> None:
    there: list[Targets] = [()]
    made = Scraping(tmp_path / "prometheus", "secret")
    made.keep_up(lambda: [Reading(families.KEYS, 1)], lambda: there[0])
    try:
        [own] = await listed(tmp_path / "prometheus" / "targets.json", 1)
        there[0] = targets([replica()], [GATEWAY])
        assert len(await listed(tmp_path / "prometheus" / "targets.json", 3)) == 3
        address = own["targets"][0]
        token = (tmp_path / "prometheus" / "token").read_text()
        headers = {"authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{address}/metrics", headers=headers) as reply,
        ):
            assert "\nflotilla_keys 1.0\n" in await reply.text()
        for path in (tmp_path / "prometheus").iterdir():
            assert path.stat().st_mode & 0o077 == 0
    finally:
        await ended(made)


@pytest.mark.usefixtures("here")
async def test_a_folder_that_cannot_be_written_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "prometheus"
    folder.write_text("in the way")
    made = Scraping(folder, "secret")

    def look() -> None:
        made.keep_up(list, tuple)

    look()
    assert made._keeping is not None
    await asyncio.wait([made._keeping])
    folder.unlink()
    look()
    try:
        assert len(await listed(folder / "targets.json", 1)) == 1
        assert "nothing for Prometheus" in caplog.text
    finally:
        await ended(made)
