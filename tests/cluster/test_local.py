"""The local cluster's refusals and its record; the cluster itself runs in tests/live."""

import socket
from pathlib import Path

import pytest

from cluster.errors import PortInUse, PrerequisiteMissing
from cluster.local import LocalRay, RayPorts, require_free_ports
from cluster.machine import require_machine, slots_of_this_machine


def test_a_port_in_use_is_named_with_what_wants_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"{port} \(gateway\)"):
            require_free_ports({"gateway": port})


def test_too_little_memory_is_said_with_both_figures() -> None:
    with pytest.raises(PrerequisiteMissing, match=r"1048576\.0 GiB are needed, .* GiB are free"):
        require_machine(1 << 50)
    require_machine(1)


def test_a_machine_has_slots() -> None:
    assert slots_of_this_machine() >= 1


def test_nothing_started_is_nothing_running(tmp_path: Path) -> None:
    assert LocalRay.started_in(tmp_path) is None
    (tmp_path / "cluster.json").write_text("{")
    assert LocalRay.started_in(tmp_path) is None
    LocalRay(tmp_path, 1).stop()


def test_other_ports_come_three_in_a_row() -> None:
    assert RayPorts.starting_at(7000) == RayPorts(7000, 7001, 7002)
