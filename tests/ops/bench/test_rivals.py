from pathlib import Path

import pytest

from ops.bench.__main__ import chosen, cores, shapes
from ops.bench.rig import Cores
from ops.bench.rivals import ALL, DIRECT, OURS
from ops.bench.rivals.rival import Rival, Site

KEY = "sk-12345678-secret"


def site(scratch: Path) -> Site:
    return Site(
        python=Path("/venv/bin/python"),
        port=9000,
        upstream_urls=("http://127.0.0.1:9001",),
        model="tiny",
        key=KEY,
        scratch=scratch,
        spare_ports=(9002, 9003, 9004),
    )


@pytest.mark.parametrize("rival", ALL[1:], ids=lambda rival: rival.name)
def test_a_rival_is_told_where_to_listen_and_keeps_the_key_off_its_command(
    rival: Rival, tmp_path: Path
) -> None:
    assert rival.launch is not None

    launch = rival.launch(site(tmp_path))

    assert "9000" in launch.argv
    assert KEY not in " ".join(launch.argv)
    assert not any(
        "0.0.0.0" in word  # noqa: S104 - looked for, not bound
        for word in (*launch.argv, *launch.env.values())
    )


def test_asking_for_some_rivals_keeps_direct_and_the_order() -> None:
    assert chosen("litellm,flotilla")[:2] == (DIRECT, OURS)
    assert chosen(None) == ALL


def test_an_unknown_rival_is_refused_by_name() -> None:
    with pytest.raises(SystemExit, match=r"no such rival: nginx \(there are: direct, flotilla, "):
        chosen("flotilla,nginx")


def test_a_quick_run_has_fewer_loads_than_a_full_one() -> None:
    assert set(shapes(quick=True)) < set(shapes(quick=False))


def test_cores_can_be_chosen() -> None:
    assert cores("2,3,4") == Cores(gateway=2, load=3, upstream=4)
