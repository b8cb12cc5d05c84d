from ops.bench.routers.engine import Engine, Job
from ops.bench.routers.metrics import Lateness, Seen, exposition, seen
from ops.bench.routers.service import Service


def test_what_an_engine_exposes_is_read_back() -> None:
    engine, lateness = Engine(Service()), Lateness()
    engine.submit(Job(1, 1_000, 20, ("a",)), 0.0)
    engine.advance(1e9)
    lateness.count(0.25)

    found = seen(exposition("tiny", engine, lateness))

    assert found == Seen(1, 1_000, 0, 20, engine.counters.busy_s, 0.25, 1)


def test_gauges_have_vllms_names() -> None:
    engine = Engine(Service(sequences=1, cache_blocks=4))
    engine.submit(Job(1, 1_000, 24, ()), 0.0)
    engine.submit(Job(2, 1_000, 24, ()), 0.0)

    text = exposition("tiny", engine, Lateness())

    assert 'vllm:num_requests_running{engine="0",model_name="tiny"} 1.0\n' in text
    assert 'vllm:num_requests_waiting{engine="0",model_name="tiny"} 1.0\n' in text
    assert 'vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.5\n' in text


def test_what_came_before_is_taken_off() -> None:
    before, after = Seen(1, 10, 5, 2, 0.5, 0.1, 3), Seen(4, 30, 6, 9, 2.5, 0.5, 9)

    assert after.since(before) == Seen(3, 20, 1, 7, 2.0, 0.4, 6)
