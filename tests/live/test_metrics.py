"""A real Prometheus, with what we ship, scrapes a real fleet: gateways, Controller and engines."""

import contextlib
import shutil
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import openai
import pytest

from tests.live.fleet_under_test import LiveFleet, wait_for
from tests.prometheus import Prometheus, dashboard_queries, prometheus, recorded_names

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Debian's prometheus"),
]


def talk(fleet: LiveFleet, stop: Event) -> None:
    """Some of everything, until it is told to stop."""
    with fleet.client() as client:
        while not stop.is_set():
            message = {"role": "user", "content": "What is a replica?"}
            given: dict[str, Any] = {"model": "demo", "messages": [message], "max_tokens": 16}
            for _ in client.chat.completions.create(**given, stream=True):
                pass
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(**{**given, "model": "nobody"})
            stop.wait(0.2)


def test_every_part_is_scraped_and_every_query_of_the_dashboard_has_data(fleet: LiveFleet) -> None:
    fleet.replica("demo.0")
    folder = fleet.home / "prometheus"
    stop = Event()
    with ThreadPoolExecutor(1) as pool, prometheus(folder, "3s") as running:
        talking = pool.submit(talk, fleet, stop)
        try:
            with contextlib.suppress(AssertionError):
                wait_for(lambda: True if is_whole(running) else None, "every part", 60)
            found = [(each["labels"]["part"], each["lastError"]) for each in running.targets()]
            assert sorted(found) == [
                *(("controller", ""), ("gateway", ""), ("gateway", ""), ("replica", ""))
            ]
            assert running.without_data(dashboard_queries() + recorded_names()) == []
            assert set(running.values('vllm:num_requests_running{model="demo"}')) <= {0.0, 1.0}
            assert running.values("flotilla_replica_in_flight_requests") != []
            assert running.values("flotilla_keys_current") == [1.0]
        finally:
            stop.set()
        talking.result(timeout=60)


def is_whole(running: Prometheus) -> bool:
    """Whether both gateways, the Controller and the engine answer."""
    return bool(sum(each["health"] == "up" for each in running.targets()) == 4)


def test_what_opens_the_metrics_opens_no_engine(fleet: LiveFleet) -> None:
    address = fleet.replica("demo.0")["address"]
    token = (fleet.home / "prometheus" / "token").read_text()
    request = urllib.request.Request(
        f"http://{address}/v1/completions",
        b'{"model": "demo", "prompt": "a"}',
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 401
    refused.value.close()
