"""A real Prometheus, with what we ship, in front of a real gateway and emulated engines: every
target answers and every query of the dashboard and of the rules has data.
"""

import asyncio
import itertools
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from deployments.observation import Reports
from deployments.readings import Keys
from deployments.readings import readings as readings_of_fleet
from deployments.scrape_targets import Target
from serving.gateway.readings import readings as readings_of_gateway
from serving.metrics.exposition import Reading
from serving.metrics.families import Family, Kind
from serving.metrics.port import MetricsPort
from serving.snapshot import GatewayReport, KeyNews
from tests.fakes import fake_replica
from tests.ops.prometheus.test_rules import VLLM
from tests.prometheus import Prometheus, dashboard_queries, prometheus, recorded_names
from tests.serving.gateway.rig import CHAT, HELLO, Rig, gateway, model

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="needs Debian's prometheus"
)
TOKEN = "secret"


#: Of vLLM's metric with the most.
WIDEST_LABELS = 43
SCRAPES = itertools.count()


def readings_of_engine() -> Iterable[Reading]:
    """Stands in for vLLM's, with counters that count."""
    scrapes = next(SCRAPES)
    for name in sorted(VLLM):
        kind = Kind.COUNTER if name.endswith("_total") else Kind.GAUGE
        yield Reading(Family(name.removesuffix("_total"), kind, "vLLM's."), scrapes)
    labels = tuple(f"setting_{number}" for number in range(WIDEST_LABELS))
    yield Reading(Family("vllm:cache_config_info", Kind.GAUGE, "vLLM's.", labels), 1.0, labels)


async def traffic(rig: Rig) -> None:
    """Some of everything, until it is cancelled."""
    while True:
        await rig.chat()
        await rig.chat(stream=True)
        await rig.ask("POST", CHAT, {**HELLO, "model": "nobody"})
        await asyncio.sleep(0.1)


async def test_every_target_answers_and_every_query_has_data(tmp_path: Path) -> None:
    async with fake_replica() as one, gateway(tmp_path, one, models=[model()]) as rig:
        reports = Reports((one.report(),), (GatewayReport("g", "n", 1, ""),))
        keys = Keys(1, KeyNews.CURRENT, 0)
        parts = {
            "gateway": lambda: readings_of_gateway(rig.core, rig.server),
            "controller": lambda: readings_of_fleet(reports, {"tiny": 1}, ["n"], keys),
            "replica": readings_of_engine,
        }
        ports = {part: MetricsPort(take, lambda: TOKEN) for part, take in parts.items()}
        for port in ports.values():
            await port.open("127.0.0.1")
        targets = [
            Target(port.address, part, "n", part, "tiny" if part == "replica" else "")
            for part, port in ports.items()
        ]
        (tmp_path / "token").write_text(TOKEN)
        (tmp_path / "targets.json").write_text(json.dumps([each.to_group() for each in targets]))
        busy = asyncio.create_task(traffic(rig))
        try:
            await asyncio.to_thread(look, tmp_path)
        finally:
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)
            for port in ports.values():
                await port.close()


def look(folder: Path) -> None:
    with prometheus(folder) as running:
        check(running)


def check(running: Prometheus) -> None:
    assert running.without_data(dashboard_queries() + recorded_names()) == []
    found = running.targets()
    assert sorted(each["labels"]["part"] for each in found) == ["controller", "gateway", "replica"]
    assert [each["lastError"] for each in found] == [""] * 3
