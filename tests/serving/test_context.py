"""The walk never ends at a model that cannot hold the request, nor at a smaller one."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from serving.context import (
    Fits,
    NeedsCount,
    Range,
    Size,
    TooLong,
    chain,
    choose,
    explain,
    token_range,
)
from serving.snapshot import TokenFacts


@dataclass(frozen=True)
class Model:
    name: str
    window_tokens: int
    fallback: str | None = None
    replica_set: str = "set"


SMALL = Model("small", 18_432, "large")
LARGE = Model("large", 131_072)
MODELS = {"small": SMALL, "large": LARGE}


def answer(tokens: int, wanted: int | None) -> str | None:
    choice = choose(chain(MODELS, SMALL), {"set": Range(tokens, tokens)}, wanted)
    return choice.model.name if isinstance(choice, Fits) else None


def test_exactly_the_window_stays_and_one_more_falls_back() -> None:
    assert answer(18_000, 432) == "small"
    assert answer(18_000, 433) == "large"
    assert answer(131_072 - 10, 10) == "large"
    assert answer(131_072 - 10, 11) is None


def test_a_prompt_that_leaves_no_token_falls_back() -> None:
    assert answer(18_431, None) == "small"
    assert answer(18_432, None) == "large"


def test_a_bound_that_decides_needs_no_count() -> None:
    candidates = chain(MODELS, SMALL)
    assert isinstance(choose(candidates, {"set": Range(10, 5_000)}, 100), Fits)
    assert isinstance(choose(candidates, {"set": Range(10, 50_000)}, 100), NeedsCount)
    beyond = choose(candidates, {"set": Range(20_000, 50_000)}, 100)
    assert beyond == Fits(LARGE, Range(20_000, 50_000))


def test_the_walk_ends_at_a_circle_a_gap_or_a_smaller_window() -> None:
    a, b = Model("a", 10, "b"), Model("b", 20, "a")
    assert chain({"a": a, "b": b}, a) == [a, b]
    assert chain({"a": a}, a) == [a]
    same = Model("s", 10, "s")
    assert chain({"s": same}, same) == [same]


def test_the_words_carry_both_numbers() -> None:
    text = explain(TooLong(100, Range(120, 120)), 30)
    assert "100" in text
    assert "120" in text
    assert "30" in text
    assert "at least 120" in explain(TooLong(100, Range(120, 900)), None)


def test_token_ids_count_themselves() -> None:
    assert token_range(Size(0, 0, 0, ids=9), TokenFacts(2, 4, 16)) == Range(9, 11)


models = st.dictionaries(
    st.sampled_from("abcde"),
    st.tuples(st.integers(1, 50), st.sampled_from("abcdef"), st.sampled_from("xy")),
    min_size=1,
)


@given(models, st.dictionaries(st.sampled_from("xy"), st.integers(0, 60)), st.integers(0, 60))
def test_what_is_chosen_holds_the_request_and_nothing_smaller_is(
    given_models: dict[str, tuple[int, str, str]], exact: dict[str, int], wanted: int
) -> None:
    known = {n: Model(n, w, f, s) for n, (w, f, s) in given_models.items()}
    first = next(iter(known.values()))
    candidates = chain(known, first)
    truth = {"x": exact.get("x", 5), "y": exact.get("y", 5)}
    ranges = {s: Range(t // 2, t * 3) for s, t in truth.items()}
    counted = 0
    while isinstance(choice := choose(candidates, ranges, wanted), NeedsCount):
        counted += 1
        assert counted <= 2
        chosen_set = choice.model.replica_set
        ranges[chosen_set] = Range(truth[chosen_set], truth[chosen_set])
    asked = max(wanted, 1)
    if isinstance(choice, Fits):
        assert truth[choice.model.replica_set] + asked <= choice.model.window_tokens
        assert choice.model.window_tokens >= first.window_tokens
        skipped = candidates[: candidates.index(choice.model)]
    else:
        skipped = candidates
    for model in skipped:
        assert truth[model.replica_set] + asked > model.window_tokens
