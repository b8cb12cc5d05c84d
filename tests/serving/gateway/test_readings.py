"""What Prometheus reads of a gateway is what its clients saw, in labels that no client makes."""

import secrets
from pathlib import Path

from serving.gateway.readings import readings
from serving.metrics.exposition import Readings, exposition
from tests.fakes import fake_replica, hangs
from tests.faults.site import until
from tests.serving.gateway.rig import CHAT, HELLO, Rig, gateway, model


def text_of(rig: Rig) -> str:
    return exposition(Readings(lambda: readings(rig.core, rig.server))).decode()


async def test_answers_fallbacks_refusals_and_times_are_told(tmp_path: Path) -> None:
    models = [model(window_tokens=64, fallback="big"), model("big", replica_set="tiny")]
    async with fake_replica() as one, gateway(tmp_path, one, models=models) as rig:
        one.count = lambda body: 95
        await rig.chat()
        await rig.chat(stream=True)
        long = [{"role": "user", "content": "a" * 400}]
        assert (await rig.chat(messages=long)).status == 200
        assert (await rig.ask("POST", CHAT, {**HELLO, "model": "none"})).status == 404
        assert (await rig.ask("GET", "/nowhere")).status == 404
        await until(lambda: not rig.core.budget.in_flight)
        text = text_of(rig)
    for line in (
        'flotilla_requests_total{model="tiny",outcome="complete"} 3.0',
        'flotilla_requests_total{model="tiny",outcome="cut"} 0.0',
        'flotilla_fallbacks_total{model="tiny"} 1.0',
        'flotilla_answers_total{route="chat",status="200"} 3.0',
        'flotilla_answers_total{route="chat",status="404"} 1.0',
        'flotilla_answers_total{route="none",status="404"} 1.0',
        'flotilla_refusals_total{reason="model_not_found"} 1.0',
        'flotilla_refusals_total{reason="unknown_url"} 1.0',
        'flotilla_first_token_seconds_count{model="tiny"} 1.0',
        'flotilla_request_duration_seconds_count{model="tiny"} 3.0',
        'flotilla_in_flight_requests{model="tiny"} 0.0',
        'flotilla_replicas_left_out{model="tiny"} 0.0',
        "flotilla_usage_buffered_records 0.0",
    ):
        assert f"\n{line}\n" in text
    assert "flotilla_certificate_expires" not in text.replace("# ", "")


async def test_a_client_that_leaves_is_counted_once_and_as_such(tmp_path: Path) -> None:
    async with fake_replica() as one, gateway(tmp_path, one) as rig:
        one.script = [hangs]
        client = await rig.connect()
        await client.request("POST", CHAT, HELLO)
        await until(lambda: rig.core.budget.in_flight == 1)
        client.reset()
        await until(lambda: not rig.core.budget.in_flight)
        text = text_of(rig)
    assert '\nflotilla_answers_total{route="chat",status="499"} 1.0\n' in text
    assert '\nflotilla_requests_total{model="tiny",outcome="client_gone"} 1.0\n' in text
    assert "flotilla_refusals_total{" not in text


async def test_what_clients_make_up_makes_no_series(tmp_path: Path) -> None:
    async with fake_replica() as one, gateway(tmp_path, one) as rig:
        sizes = set()
        for _ in range(3):
            for _ in range(20):
                name = secrets.token_hex(8)
                await rig.chat(model=name)
                await rig.chat(**{name: 1})
                await rig.ask("POST", f"/{name}", HELLO)
                await rig.ask(name.upper(), CHAT, HELLO)
                await rig.ask("POST", CHAT, HELLO, authorization=f"Bearer sk-{name}")
            sizes.add(len(text_of(rig).splitlines()))
    assert len(sizes) == 1
