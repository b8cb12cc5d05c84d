import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.bench.routers.engine import Engine, Job, Progress
from ops.bench.routers.service import Service

#: A second a step, a second a hundred prompt tokens: times that can be read.
SERVICE = Service(
    step_s=1.0,
    sequence_s=0.0,
    prefill_tokens_per_s=100.0,
    batch_tokens=1_000,
    sequences=4,
    cache_blocks=16,
    stream_interval=4,
)


def job(number: int, tokens: int, output: int = 1, prefix: int = 0) -> Job:
    """A prompt whose first `prefix` blocks everybody shares."""
    keys = tuple(("shared", i) if i < prefix else (number, i) for i in range(tokens // 512))
    return Job(number, tokens, output, keys)


def run_dry(engine: Engine) -> list[tuple[float, Progress]]:
    """Everything that still comes out, with its time."""
    out = []
    while (at_s := engine.next_s) is not None:
        out += [(at_s, progress) for progress in engine.advance(at_s)]
    return out


def test_a_prompt_takes_its_prefill_and_then_a_step_a_token() -> None:
    engine = Engine(SERVICE)
    engine.submit(job(1, 400, output=3), 0.0)

    out = run_dry(engine)

    # One step with 400 prompt tokens makes the first token, then two decode steps come as one.
    assert out == [(5.0, Progress(1, 1, 0, False)), (7.0, Progress(1, 2, 0, True))]


def test_a_long_prompt_is_prefilled_in_chunks_of_the_batch() -> None:
    engine = Engine(SERVICE)
    engine.submit(job(1, 2_500), 0.0)

    ((at_s, _),) = run_dry(engine)

    assert at_s == pytest.approx(3 * 1.0 + 25.0)


def test_blocks_that_are_there_are_not_computed_again() -> None:
    engine = Engine(SERVICE)
    engine.submit(job(1, 1_100, prefix=2), 0.0)
    run_dry(engine)

    engine.submit(job(2, 1_100, prefix=2), 100.0)

    # 76 of 1,100 tokens are left to compute.
    ((at_s, progress),) = run_dry(engine)
    assert at_s == pytest.approx(101.76)
    assert progress == Progress(2, 1, 1_024, True)
    assert engine.counters.cached_tokens == 1_024
    assert engine.counters.prompt_tokens == 2_200


def test_of_a_prompt_that_is_all_there_the_last_block_is_computed() -> None:
    engine = Engine(SERVICE)
    for start_s in (0.0, 100.0):
        engine.submit(job(1, 1_024, prefix=2), start_s)
        run_dry(engine)

    assert engine.counters.cached_tokens == 512


def test_who_arrives_waits_for_the_step_under_way_and_not_for_all_of_them() -> None:
    engine = Engine(SERVICE)
    engine.submit(job(1, 100, output=100), 0.0)
    engine.advance(2.0)
    assert engine.next_s == 6.0

    engine.submit(job(2, 100), 3.5)

    assert engine.next_s == 4.0
    assert [(p.job_id, p.tokens) for p in engine.advance(4.0)] == [(1, 2)]


def test_decoding_goes_on_while_others_are_prefilled() -> None:
    engine = Engine(SERVICE)
    engine.submit(job(1, 100, output=2), 0.0)
    engine.advance(2.0)
    engine.submit(job(2, 300), 2.5)

    engine.advance(3.0)
    out = engine.advance(100.0)

    assert {p.job_id for p in out} == {2}
    assert engine.counters.finished == 2


def test_a_sequence_without_room_waits_and_comes_in_its_turn() -> None:
    engine = Engine(SERVICE)
    for number in (1, 2, 3):
        engine.submit(job(number, 4_000), 0.0)
    engine.advance(1.0)

    assert (engine.running, engine.waiting) == (1, 2)
    assert [progress.job_id for _, progress in run_dry(engine)] == [1, 2, 3]


def test_a_job_that_is_cancelled_gives_its_room_back_and_says_nothing_more() -> None:
    engine = Engine(SERVICE)
    engine.submit(job(1, 4_000, output=9), 0.0)
    engine.submit(job(2, 4_000), 0.0)
    engine.submit(job(3, 100), 0.0)

    engine.cancel(1)
    engine.cancel(3)
    engine.cancel(99)

    assert [progress.job_id for _, progress in run_dry(engine)] == [2]
    assert engine.cache.used_blocks == 0


def test_an_engine_that_is_asked_late_says_the_same() -> None:
    prompt, late = Engine(SERVICE), Engine(SERVICE)
    for engine in (prompt, late):
        engine.submit(job(1, 400, output=9), 0.0)

    told = [progress for _, progress in run_dry(prompt)]

    assert late.advance(1_000.0) == told
    assert late.counters == prompt.counters


JOBS = st.lists(
    st.tuples(st.integers(1, 5_000), st.integers(1, 40), st.integers(0, 9), st.booleans()),
    max_size=12,
)


@given(JOBS)
def test_every_job_ends_once_with_all_its_tokens(
    asked: list[tuple[int, int, int, bool]],
) -> None:
    engine, now_s = Engine(SERVICE), 0.0
    out: list[Progress] = []
    jobs = []
    for number, (tokens, output, prefix, pauses) in enumerate(asked):
        now_s += 7.0 if pauses else 0.0
        jobs.append(job(number, tokens, output, prefix))
        out += engine.advance(now_s)
        engine.submit(jobs[-1], now_s)
        assert engine.cache.stored_blocks <= SERVICE.cache_blocks
    out += [progress for _, progress in run_dry(engine)]

    for each in jobs:
        mine = [progress for progress in out if progress.job_id == each.id]
        assert sum(progress.tokens for progress in mine) == each.output_tokens
        assert [progress.is_last for progress in mine].count(True) == 1
        assert mine[-1].is_last
        assert mine[-1].cached_tokens < each.prompt_tokens
    assert engine.counters.finished == len(jobs)
    assert engine.counters.prompt_tokens == sum(each.prompt_tokens for each in jobs)
    assert engine.cache.used_blocks == engine.waiting == engine.running == 0
