"""A caller's trace goes through a real gateway into a real engine, whose span hangs below."""

import urllib.request

import pytest

from tests.live.conftest import DEMO
from tests.live.fleet_under_test import LiveFleet, wait_for
from tests.otlp import Collector, collector

pytestmark = [pytest.mark.timeout(900), pytest.mark.heavy]

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def test_the_engines_span_is_a_child_of_the_try(fleet: LiveFleet) -> None:
    with collector() as collected:
        try:
            fleet.deploy(f"{DEMO}traces: {collected.url}\n")
            fleet.replica("demo.0")
            ask(fleet)
            spans = wait_for(lambda: of_trace(collected), "three spans")
            request, attempt, engine = (
                spans[name] for name in ("request", "attempt", "llm_request")
            )
            assert attempt[1] == request[0]
            assert engine[1] == attempt[0]
        finally:
            fleet.deploy(DEMO)


def ask(fleet: LiveFleet) -> None:
    request = urllib.request.Request(
        f"{fleet.base_url}/completions",
        b'{"model": "demo", "prompt": "Flotilla is", "max_tokens": 4}',
        {
            "Authorization": f"Bearer {fleet.key}",
            "Content-Type": "application/json",
            "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01",
        },
    )
    with urllib.request.urlopen(request, timeout=120) as reply:
        assert reply.status == 200


def of_trace(collected: Collector) -> dict[str, tuple[str, str]] | None:
    """Ids of the spans and of their parents, by name, when all three are there."""
    mine = [span for span in collected.spans if span.trace_id == TRACE_ID]
    found = {span.name: (span.span_id, span.parent_id) for span in mine}
    return found if len(found) >= 3 else None
