"""Load figures as vLLM reports them."""

from types import SimpleNamespace

from serving.replica.load import LoadMeter


def scheduler(running: int, waiting: int, skipped: int = 0, kv: float = 0.5) -> SimpleNamespace:
    return SimpleNamespace(
        num_running_reqs=running,
        num_waiting_reqs=waiting,
        num_skipped_waiting_reqs=skipped,
        kv_cache_usage=kv,
    )


def test_deferred_requests_count_as_waiting() -> None:
    meter = LoadMeter()
    meter.record(scheduler(2, 1, skipped=3), None)
    load = meter.read(unfinished=6)
    assert (load.running, load.waiting, load.kv_use) == (2, 4, 0.5)


def test_an_aborted_request_is_gone_before_the_engine_says_so() -> None:
    meter = LoadMeter()
    meter.record(scheduler(3, 0), None)
    load = meter.read(unfinished=0)
    assert (load.running, load.waiting, load.kv_use) == (0, 0, 0.0)


def test_tokens_become_a_rate_and_a_quiet_engine_loses_it() -> None:
    meter = LoadMeter()
    meter.record(None, SimpleNamespace(num_generation_tokens=1000))
    first = meter.read(0).tokens_per_s
    assert first > 0
    assert meter.read(0).tokens_per_s <= first
