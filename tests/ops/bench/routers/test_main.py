from pathlib import Path

import pytest

from ops.bench.rivals.rival import Rival, Site
from ops.bench.routers.__main__ import chosen, pairs
from ops.bench.routers.outcome import Traffic
from ops.bench.routers.routers import ALL, OURS, ROUND_ROBIN

KEY = "sk-12345678-secret"
URLS = ("http://127.0.0.1:9001", "http://127.0.0.1:9002")


@pytest.mark.parametrize("router", [r for r in ALL if r.launch], ids=lambda router: router.name)
def test_a_router_is_told_every_engine_and_where_to_listen(router: Rival, tmp_path: Path) -> None:
    assert router.launch is not None
    site = Site(Path("/venv/bin/python"), 9000, URLS, "tiny", KEY, tmp_path, (9003, 9004, 9005))

    argv = router.launch(site).argv

    assert {"9000", *URLS} <= set(argv)
    assert KEY not in " ".join(argv)
    assert "0.0.0.0" not in argv  # noqa: S104 - looked for, not bound


def test_peers_of_one_package_share_an_environment() -> None:
    homes = {router.home or router.name for router in ALL if router.packages}

    assert homes == {"smg", "vllm-router"}


def test_an_unknown_router_is_refused_by_name() -> None:
    with pytest.raises(SystemExit, match="no such router: nginx"):
        chosen("flotilla,nginx")


def test_some_routers_keep_the_order_of_the_tables() -> None:
    assert chosen("flotilla,round robin") == (ROUND_ROBIN, OURS)


def test_a_round_measures_everyone_with_one_traffic_before_the_next() -> None:
    order = pairs((ROUND_ROBIN, OURS), None)

    assert [router for router, _ in order] == [ROUND_ROBIN, OURS] * 2
    assert [traffic.shares_prefixes for _, traffic in order] == [True, True, False, False]


def test_a_sweep_is_round_robin_alone() -> None:
    assert pairs(ALL, "2,3.5") == ((ROUND_ROBIN, Traffic(2)), (ROUND_ROBIN, Traffic(3.5)))


@pytest.mark.parametrize("loads", ["", "a", "0", "-1", "nan", "2,inf"])
def test_a_load_that_is_none_is_refused(loads: str) -> None:
    with pytest.raises(SystemExit, match="--sweep takes loads"):
        pairs(ALL, loads)
