"""The rows of the overload table say what was answered, refused and anything else."""

from ops.bench.overload import HEADERS, Answer, row


def test_a_row_counts_each_kind_of_answer_apart() -> None:
    answers = [Answer(200, 0.2)] * 8 + [Answer(503, 0.001)] * 11 + [Answer(500, 0.1)]
    shown = dict(zip(HEADERS, row(20, answers, 2.0), strict=True))
    assert shown == {
        "offered": "20x",
        "requests/s": "10",
        "answered/s": "4",
        "p50 ms": "200",
        "p99 ms": "200",
        "refused p50 ms": "1.0",
        "refused p99 ms": "1.0",
        "other answers": "1",
    }
