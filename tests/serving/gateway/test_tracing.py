"""A request is a span, each try a span below it, and the engine gets the try's as its parent."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from serving.gateway.tracing import Tracing
from tests.fakes import fake_replica
from tests.faults.site import until
from tests.otlp import Collector, collector
from tests.serving.gateway.rig import CHAT, HELLO, KEY, Rig, gateway

TRACE_ID, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collected() -> Iterator[Collector]:
    with collector() as made:
        yield made


@asynccontextmanager
async def traced(rig: Rig, collected: Collector) -> AsyncIterator[None]:
    """All spans have come when it ends."""
    tracing = rig.core.tracing = Tracing(collected.url, "gw")
    try:
        yield
        await until(lambda: not rig.core.budget.in_flight)
    finally:
        rig.core.tracing = None
        await asyncio.to_thread(tracing.close)


async def test_spans_hang_together_from_the_caller_to_the_engine(
    tmp_path: Path, collected: Collector
) -> None:
    async with fake_replica() as one, gateway(tmp_path, one) as rig, traced(rig, collected):
        parent = f"00-{TRACE_ID}-{CALLER}-01"
        reply = await rig.ask("POST", CHAT, HELLO, traceparent=parent, tracestate="a=1")
        assert reply.status == 200
        told = one.calls[0].headers
    [request], [attempt] = collected.named("request"), collected.named("attempt")
    assert (request.trace_id, request.parent_id) == (TRACE_ID, CALLER)
    assert (attempt.trace_id, attempt.parent_id) == (TRACE_ID, request.span_id)
    assert told["traceparent"] == f"00-{TRACE_ID}-{attempt.span_id}-01"
    assert told["tracestate"] == "a=1"
    assert request.service == "flotilla-gateway"
    assert request.attributes["gen_ai.request.model"] == "tiny"
    assert request.attributes["flotilla.outcome"] == "complete"
    assert request.attributes["http.response.status_code"] == 200
    assert attempt.attributes["flotilla.replica"] == one.replica_id
    assert (request.error, attempt.error) == ("", "")


async def test_a_failed_try_and_the_next_are_two_spans(
    tmp_path: Path, collected: Collector
) -> None:
    async with fake_replica() as one, gateway(tmp_path, one) as rig, traced(rig, collected):
        await one.stop()
        assert (await rig.chat()).status == 503
    [request] = collected.named("request")
    assert request.error == "model_unavailable"
    assert {span.error for span in collected.named("attempt")} == {"NotReached"}
    assert {span.parent_id for span in collected.named("attempt")} == {request.span_id}


async def test_a_caller_that_is_not_sampled_is_not_traced(
    tmp_path: Path, collected: Collector
) -> None:
    async with fake_replica() as one, gateway(tmp_path, one) as rig, traced(rig, collected):
        await rig.ask("POST", CHAT, HELLO, traceparent=f"00-{TRACE_ID}-{CALLER}-00")
        assert one.calls[0].headers["traceparent"].endswith("-00")
    assert collected.spans == []


@pytest.mark.parametrize(
    "given", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "\xff"]
)
async def test_a_context_that_is_none_begins_a_new_trace(
    tmp_path: Path, collected: Collector, given: str
) -> None:
    async with fake_replica() as one, gateway(tmp_path, one) as rig, traced(rig, collected):
        assert (await rig.ask("POST", CHAT, HELLO, traceparent=given)).status == 200
    [request] = collected.named("request")
    assert request.parent_id == ""


async def test_no_span_holds_a_prompt_an_answer_or_a_key(
    tmp_path: Path, collected: Collector
) -> None:
    secret = "what nobody may read"
    async with fake_replica() as one, gateway(tmp_path, one) as rig, traced(rig, collected):
        await rig.chat(messages=[{"role": "user", "content": secret}])
    said = str(collected.spans)
    assert "request" in said
    assert all(word not in said for word in (secret, KEY))


async def test_without_a_collector_nothing_of_it_goes_to_an_engine(tmp_path: Path) -> None:
    async with fake_replica() as one, gateway(tmp_path, one) as rig:
        await rig.ask("POST", CHAT, HELLO, traceparent=f"00-{TRACE_ID}-{CALLER}-01")
        assert "traceparent" not in one.calls[0].headers
