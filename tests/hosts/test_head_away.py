"""Ten minutes without a head, under load: too long for every run of the tests."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.faults.recovering import Note, recovering
from tests.hosts.host import Host
from tests.hosts.site import FLEET, Site, wait_for

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(2700)]

AWAY_S = 600
#: Some seconds of the demo model.
STREAM_TOKENS = 400
#: Both engines and all hosts share two cores.
PAUSE_S = 10


@dataclass
class Client:
    """One after the other, a stream and a short answer from each model, through one gateway."""

    site: Site
    host: Host
    answered: int = 0
    failures: list[str] = field(default_factory=list)

    def ask_until(self, leave: threading.Event) -> None:
        while not leave.wait(PAUSE_S):
            for model in ("small", "wide"):
                self._ask(model)

    def _ask(self, model: str) -> None:
        try:
            self.site.streams(model, self.host, STREAM_TOKENS)
            assert self.site.says(model, self.host)
            self.answered += 2
        except (OSError, AssertionError) as error:
            self.failures.append(f"{model} through {self.host.name}: {error!r}")


def test_26_the_head_may_be_away_for_ten_minutes(small_site: Site, record_property: Note) -> None:
    site = small_site
    site.write_inventory(site.nodes)
    site.flotilla("up rig.yaml")
    site.write("fleet.yaml", FLEET)
    site.flotilla("deploy fleet.yaml")
    site.key = site.flotilla("keys create test")[1].strip()
    every = sorted(host.address for host in site.hosts for _ in range(2))
    wait_for(lambda: site.gateways() == every, "two gateways on every host")
    before = site.pids()
    assert before.keys() == {"small.0", "wide.0"}
    with clients(site) as asking:
        wait_for(lambda: all(client.answered for client in asking), "first answers")
        site.head.cut_power()
        lost = [client.answered for client in asking]
        time.sleep(AWAY_S)
        away = [client.answered for client in asking]
        assert failures(asking) == []
        with recovering(record_property):
            site.head.start()
            site.flotilla("up rig.yaml")
            wait_for(lambda: site.pids() == before, "control, and the same replicas")
            wait_for(lambda: site.gateways() == every, "all gateways")
    assert failures(asking) == []
    assert all(later - sooner > AWAY_S / 60 for sooner, later in zip(lost, away, strict=True))
    _, _, said = site.flotilla("deploy fleet.yaml")
    assert "nothing to do" in said
    site.flotilla("down rig.yaml")


def failures(asking: list[Client]) -> list[str]:
    return [failure for client in asking for failure in client.failures]


@contextmanager
def clients(site: Site) -> Iterator[list[Client]]:
    """One for the gateways of each node, not those of the head, until the block ends."""
    leave = threading.Event()
    asking = [Client(site, host) for host in site.nodes]
    threads = [threading.Thread(target=each.ask_until, args=(leave,)) for each in asking]
    for thread in threads:
        thread.start()
    try:
        yield asking
    finally:
        leave.set()
        for thread in threads:
            thread.join()
