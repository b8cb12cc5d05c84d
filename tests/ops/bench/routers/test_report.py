from dataclasses import replace

from ops.bench.machine import Machine
from ops.bench.routers import report
from ops.bench.routers.outcome import Outcome, Outcomes, Traffic
from ops.bench.routers.routers import OURS, ROUND_ROBIN
from ops.bench.table import Table

BUSY, ALONE = Traffic(3.5), Traffic(2.5, shares_prefixes=False)
PEER = "smg cache_aware"
PLAIN = Outcome(
    router=ROUND_ROBIN.name,
    traffic=BUSY,
    requests=2_000,
    ttft_p50_s=1.0,
    ttft_p90_s=10.0,
    ttft_p99_s=20.0,
    total_p50_s=30.0,
    requests_per_s=9.0,
    tokens_per_s=3_000.0,
    hit_rate=0.05,
    spread=1.2,
    router_busy=0.0,
    rig_busy=0.2,
    foreign=0.1,
    late_s=0.002,
    errors={},
)


def ours(**changed: object) -> Outcome:
    return replace(PLAIN, router=OURS.name, **changed)  # type: ignore[arg-type]


def peer(**changed: object) -> Outcome:
    return replace(PLAIN, router=PEER, **changed)  # type: ignore[arg-type]


def results(*outcomes: Outcome, rounds: int = 1) -> report.Results:
    return report.Results(
        machine=Machine("AMD EPYC", 2, "6.18", "3.11.7", "2026-11-27 18:00 UTC"),
        command="python -m ops.bench.routers",
        requests=2_000,
        rounds=rounds,
        engines=8,
        speed=5.0,
        setups={OURS.name: "keys on", PEER: "--policy cache_aware (smg 1.13.0)"},
        skipped={"other": "no wheel for this machine"},
        outcomes=Outcomes(outcomes),
    )


def row(table: Table, name: str) -> dict[str, str]:
    (cells,) = [cells for cells in table.rows if cells[0] == name]
    return dict(zip(table.headers, cells, strict=True))


def test_a_router_is_set_beside_ours() -> None:
    (table,) = report.tables(results(ours(ttft_p90_s=4.0), peer(hit_rate=0.123, errors={"x": 3})))

    assert row(table, PEER)["p90, it / ours"] == "2.50"
    assert row(table, PEER)["hit rate"] == "12.3"
    assert row(table, PEER)["errors"] == "3"


def test_several_rounds_quote_the_median_and_the_range() -> None:
    rounds = [peer(ttft_p90_s=p90) for p90 in (3.0, 1.0, 2.0)]

    (table,) = report.tables(results(*rounds, rounds=3))

    assert row(table, PEER)["TTFT p90 s"] == "2.00 (1.00..3.00)"


def test_every_traffic_has_a_table_of_its_own() -> None:
    titles = [table.title for table in report.tables(results(PLAIN, replace(PLAIN, traffic=ALONE)))]

    assert titles == ["The trace at 3.5x as it is", "The trace at 2.5x without shared prefixes"]


def test_a_run_that_is_the_rigs_says_so() -> None:
    (table,) = report.tables(results(peer(rig_busy=0.85)))

    assert table.rows[0][0] == f"{PEER}*"


def test_the_verdict_compares_with_the_best_peer_in_each_figure() -> None:
    (line,) = report.verdicts(
        results(
            PLAIN,
            peer(hit_rate=0.12, ttft_p90_s=5.0),
            ours(hit_rate=0.11, ttft_p90_s=4.0),
        )
    )

    assert "hit rate 11.0% beside 12.0% of the best peer (smg cache_aware): not reached" in line
    assert "TTFT p90 0.80 of the best peer's (smg cache_aware), to reach 0.8: reached" in line


def test_parity_without_shared_prefixes_is_within_three_percent() -> None:
    peers = (peer(traffic=ALONE), replace(PLAIN, traffic=ALONE, requests_per_s=8.0))

    (close,) = report.verdicts(results(*peers, ours(traffic=ALONE, requests_per_s=8.8)))
    (slow,) = report.verdicts(results(*peers, ours(traffic=ALONE, ttft_p50_s=1.04)))

    assert close.endswith("within 3%: reached.")
    assert slow.endswith("within 3%: not reached.")


def test_without_us_or_without_peers_there_is_no_verdict() -> None:
    assert report.verdicts(results(PLAIN, peer())) == ()
    assert report.verdicts(results(ours())) == ()


def test_the_page_says_how_it_was_measured_and_what_went_wrong() -> None:
    page = report.page(results(ours(), peer(errors={"status 503": 3})))

    assert "AMD EPYC, 2 cores, Linux 6.18, Python 3.11.7" in page
    assert "Nothing here ran on a GPU" in page
    assert "- **other**: no wheel for this machine\n" in page
    assert "- smg cache_aware, 3.5x as it is: 3 x status 503\n" in page
    assert "Load and engines took at most 20% of their core" in page
