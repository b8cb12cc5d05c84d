"""The local cluster's refusals and its record; the cluster itself runs in tests/live."""

import json
import socket
import subprocess
from collections.abc import Iterator
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


def test_an_address_that_is_not_ours_is_not_called_in_use() -> None:
    with pytest.raises(PrerequisiteMissing, match=r"192\.0\.2\.1, port 8000: "):
        require_free_ports({"gateway": 8000}, "192.0.2.1")


def test_a_home_too_deep_for_sockets_is_refused_before_anything_starts() -> None:
    with pytest.raises(PrerequisiteMissing, match="set FLOTILLA_HOME"):
        LocalRay(Path("/home/" + "x" * 40), 1).start()


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


@pytest.fixture
def stranger() -> Iterator["subprocess.Popen[bytes]"]:
    """A session whose number the record of an earlier cluster holds."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("other", [{"started": 1}, {"boot": "before the reboot"}])
def test_a_session_that_only_has_the_same_number_is_left_alone(
    tmp_path: Path, stranger: "subprocess.Popen[bytes]", other: dict[str, object]
) -> None:
    ports = {"gcs": 1, "dashboard": 2, "agent": 3}
    record = {"session": stranger.pid, "slots": 1, "ports": ports, **other}
    (tmp_path / "cluster.json").write_text(json.dumps(record))
    ray = LocalRay.started_in(tmp_path)
    assert ray is not None
    assert not ray.is_running()
    ray.stop()
    assert stranger.poll() is None
    assert LocalRay.started_in(tmp_path) is None


def test_what_a_crash_left_of_our_session_is_stopped(
    tmp_path: Path, stranger: "subprocess.Popen[bytes]"
) -> None:
    ray = LocalRay(tmp_path, 1)
    ray.session.note(stranger.pid, {})
    assert ray.is_running()
    ray.stop()
    assert stranger.wait(5) != 0


def test_other_ports_come_three_in_a_row() -> None:
    assert RayPorts.starting_at(7000) == RayPorts(7000, 7001, 7002)


def test_a_missing_compiler_is_named_where_one_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PrerequisiteMissing, match="C\\+\\+ compiler"):
        require_machine(1, compiles=True)
    require_machine(1)
