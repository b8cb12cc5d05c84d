import json
import math

import pytest

from ops.bench import report
from ops.bench.machine import Machine, cpu_model
from ops.bench.results import Results, errors, to_json
from ops.bench.rivals import DIRECT, OURS
from ops.bench.sample import Sample, Samples
from ops.bench.shape import Shape, Window
from ops.bench.table import Table

ALONE, BUSY = Shape(stream=False, connections=1), Shape(stream=False, connections=64)
PACED = Shape(stream=True, connections=64, pause_ms=10)
RIVAL = "vllm-router"
SETUPS = {DIRECT.name: "no gateway", OURS.name: "keys on", RIVAL: "round robin"}


def one(rival: str, shape: Shape, rate: float, **changed: object) -> Sample:
    figures: dict[str, object] = {
        "replies_per_s": rate,
        "chunks_per_s": rate if shape.stream else math.nan,
        "cpu_s_per_1000_replies": 1_000 / rate,
        "cpu_s_per_1000_chunks": 1_000 / rate,
        "total_p50_ms": 1.0,
        "total_p99_ms": 2.0,
        "first_p50_ms": math.nan,
        "first_p99_ms": math.nan,
        "gateway_busy": 1.0,
        "rig_busy": 0.5,
        "gateway_foreign": 0.01,
        "rig_foreign": 0.0,
        "errors": {},
    }
    return Sample(rival=rival, shape=shape, **(figures | changed))  # type: ignore[arg-type]


def results(*samples: Sample, rounds: int = 1, skipped: dict[str, str] | None = None) -> Results:
    return Results(
        machine=Machine("AMD EPYC", 2, "6.18", "3.11.7", "2026-11-23 06:00 UTC"),
        command="python -m ops.bench",
        window=Window(1.0, 6.0, 24.0),
        rounds=rounds,
        setups={name: setup for name, setup in SETUPS.items() if name not in (skipped or {})},
        skipped=skipped or {},
        samples=Samples(samples),
    )


def row(table: Table, name: str) -> dict[str, str]:
    (cells,) = [cells for cells in table.rows if cells[0] == name]
    return dict(zip(table.headers, cells, strict=True))


def test_a_rival_is_set_against_our_rate_and_our_price() -> None:
    (table,) = report.tables(
        results(
            one(DIRECT.name, BUSY, 40_000), one(OURS.name, BUSY, 20_000), one(RIVAL, BUSY, 10_000)
        )
    )

    rival = row(table, RIVAL)
    assert rival["requests/s x64"] == "10,000"
    assert rival["ours / it x64"] == "2.00"
    assert rival["CPU s per 1,000 requests x64"] == "0.1000"
    assert rival["its CPU / ours"] == "2.00"


def test_added_time_is_what_a_gateway_adds_to_direct_at_one_connection() -> None:
    direct = one(DIRECT.name, ALONE, 9_000, total_p50_ms=0.1, total_p99_ms=0.2)
    ours = one(OURS.name, ALONE, 3_000, total_p50_ms=0.3, total_p99_ms=0.9)

    (table,) = report.tables(results(direct, ours))

    assert row(table, OURS.name)["added p50 / p99 ms x1"] == "0.20 / 0.70"
    assert row(table, DIRECT.name)["added p50 / p99 ms x1"] == "-"


def test_several_rounds_quote_the_median_and_the_range() -> None:
    samples = [one(OURS.name, BUSY, rate) for rate in (100, 300, 200)]

    (table,) = report.tables(results(*samples, rounds=3))

    assert row(table, OURS.name)["requests/s x64"] == "200 (100..300)"


def test_a_rate_that_is_the_rigs_or_has_errors_says_so() -> None:
    bound = one(OURS.name, BUSY, 100, gateway_busy=0.2, rig_busy=0.99)
    broken = one(RIVAL, BUSY, 100, errors={"status 503": 7})
    shown = results(bound, broken)

    (table,) = report.tables(shown)

    assert row(table, OURS.name)["requests/s x64"] == "100*"
    assert row(table, RIVAL)["requests/s x64"] == "100!"
    assert errors(shown) == ("vllm-router, unary x64: 7 x status 503",)


def test_paced_streams_have_a_table_of_their_own() -> None:
    (table,) = report.tables(results(one(OURS.name, PACED, 6_000)))

    assert table.title == "64 streams with a chunk every 10 ms"
    assert row(table, OURS.name)["chunks/s"] == "6,000"


def test_a_skipped_rival_is_named_with_its_reason_and_has_no_row() -> None:
    shown = results(one(OURS.name, BUSY, 100), skipped={RIVAL: "no wheel for this machine"})

    assert RIVAL not in [cells[0] for cells in report.tables(shown)[0].rows]
    assert "- vllm-router: no wheel for this machine\n" in report.page(shown)


def test_the_page_says_on_what_and_how_it_was_measured() -> None:
    page = report.page(results(one(OURS.name, BUSY, 100, rig_foreign=0.25)))

    assert "AMD EPYC, 2 cores, Linux 6.18, Python 3.11.7" in page
    assert "`python -m ops.bench`" in page
    assert "Other work took 1%..1% of the gateway's core and 25%..25% of the rig's" in page
    assert "- **flotilla**: keys on\n" in page


def test_json_has_null_where_nothing_was_measured() -> None:
    value = json.loads(to_json(results(one(OURS.name, BUSY, 100))))

    assert value["samples"][0]["chunks_per_s"] is None
    assert value["samples"][0]["replies_per_s"] == 100


def test_a_table_becomes_markdown_with_numbers_to_the_right() -> None:
    table = Table("Rates", ("gateway", "rate"), (("a", "1"), ("b", "2")))

    assert table.markdown() == (
        "## Rates\n\n| gateway | rate |\n| --- | ---: |\n| a | 1 |\n| b | 2 |\n"
    )
    assert [column.header for column in table.rich().columns] == ["gateway", "rate"]


def test_a_row_of_the_wrong_width_is_refused() -> None:
    with pytest.raises(ValueError, match="every row needs 2 cells"):
        Table("Rates", ("gateway", "rate"), (("a",),))


def test_the_processor_is_called_by_its_name() -> None:
    assert cpu_model("processor\t: 0\nmodel name\t: AMD EPYC\n") == "AMD EPYC"
