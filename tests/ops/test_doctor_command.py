"""`flotilla doctor` as an operator sees it: a table, what is wrong and how to mend it, a status."""

import json
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from cluster.preflight import judged
from ops.doctor_view import view
from tests.cluster.node_answers import seen
from tests.cluster.test_examination import inventory_of
from tests.ops.test_cli import flotilla
from tests.sshd import Sshd, missing

needs_sshd = pytest.mark.skipif(bool(missing()), reason=missing())
NODES = "name: two\naccelerators: {kind: h100-sxm-80gb, count: 8}\nnodes:\n"
TWICE = f"{NODES}  - {{name: n1, address: 10.0.0.1}}\n  - {{name: n2, address: 10.0.0.1}}\n"
HEAD_AS_WORKER = (
    "head: {name: n1, address: 10.0.0.1}\n" + NODES + "  - {name: n1, address: 10.0.0.1}\n"
)
TINY = {"source": "org/tiny", "max_model_len": 128}
#: A GPU that has gone away; the driver says so and fails.
BROKEN_DRIVER = "#!/bin/sh\necho 'Unable to determine the device handle for GPU 0: Lost'; exit 15\n"


def written(path: Path, *servers: Sshd, **changes: Any) -> Path:
    said = inventory_of(*servers).model_dump(mode="json", exclude_unset=True)
    path.write_text(yaml.safe_dump({**said, **changes}))
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TWICE, ":5: nodes.1.address: `10.0.0.1` is the address of nodes.0 already"),
        (HEAD_AS_WORKER, "a head that is a node of the list is `head: n1`"),
        ("nodes: []\n", ":1: "),
    ],
)
def test_a_wrong_inventory_ends_with_2_and_a_line_for_an_editor(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "nodes.yaml"
    path.write_text(text)
    result = flotilla("doctor", path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{path}:")
    assert words in result.stderr
    assert result.stdout == ""


def test_an_inventory_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    result = flotilla("doctor", tmp_path / "nodes.yaml")
    assert result.exit_code == 2
    assert "no such file" in result.stderr.lower()


@needs_sshd
def test_nodes_that_are_well_end_with_0_and_a_row_each(tmp_path: Path) -> None:
    with Sshd("127.0.0.2") as first, Sshd("127.0.0.3", key=first.key) as second:
        result = flotilla("doctor", written(tmp_path / "nodes.yaml", first, second))
    assert result.exit_code == 0, result.stdout
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["node", "address", "login", "software"]
    assert lines[1].split()[:3] == ["n1", "127.0.0.2", "ok"]
    assert lines[2].split()[:3] == ["n2", "127.0.0.3", "ok"]
    assert lines[-1].startswith("2 machines: ")
    assert lines[-1].endswith(" 0 fail")


@needs_sshd
def test_what_failed_stands_under_the_table_with_its_fix_and_the_status_is_1(
    tmp_path: Path,
) -> None:
    with Sshd("127.0.0.2") as first, Sshd("127.0.0.3") as stranger:
        path = written(tmp_path / "nodes.yaml", first, stranger)
        result = flotilla("doctor", "--no-bandwidth", path)
    assert result.exit_code == 1
    assert "  n2: ssh: " in result.stdout
    assert "refused the login: check `ssh.user` and `ssh.key` of the inventory" in result.stdout
    row = next(line for line in result.stdout.splitlines() if line.startswith("n2 "))
    assert row.split()[2:] == ["fail", "-", "-", "-", "-", "-", "-"]


@needs_sshd
def test_json_has_every_check_and_whether_a_bring_up_would_stop(tmp_path: Path) -> None:
    with Sshd("127.0.0.2") as first:
        path = written(tmp_path / "nodes.yaml", first, storage={"local": "/nowhere/at/all"})
        result = flotilla("doctor", "--json", path)
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["ok"] is False
    (machine,) = said["machines"]
    (check,) = [check for check in machine["checks"] if check["state"] == "fail"]
    assert check["name"] == "local storage"
    assert check["fix"].startswith("`sudo mkdir -p /nowhere/at/all && sudo chown ")
    assert check["blocks_bring_up"] is False


@needs_sshd
def test_a_fleet_has_its_port_and_its_checkpoints_looked_for(tmp_path: Path) -> None:
    with Sshd() as server, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fleet = {"gateway": {"port": port}, "models": {"tiny": TINY}}
        (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(fleet))
        path = written(tmp_path / "nodes.yaml", server, storage={"shared": str(tmp_path)})
        result = flotilla("doctor", path, "--fleet", tmp_path / "fleet.yaml")
    assert result.exit_code == 1
    assert "n1: models: org/tiny is not there: `flotilla models stage` brings it" in result.stdout
    assert f"n1: ports: in use: {port} (" in result.stdout


def test_a_fleet_without_an_inventory_ends_with_2(tmp_path: Path) -> None:
    result = flotilla("doctor", "--fleet", tmp_path / "fleet.yaml")
    assert result.exit_code == 2
    assert "--fleet needs an INVENTORY" in result.stderr


@needs_sshd
def test_a_driver_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text(BROKEN_DRIVER)
    driver.chmod(driver.stat().st_mode | stat.S_IXUSR)
    as_asked = 'exec sh -c "$SSH_ORIGINAL_COMMAND"'
    with Sshd(instead=f"PATH={tmp_path}:$PATH {as_asked}") as server:
        gpus = {"kind": "h100-sxm-80gb", "count": 8}
        path = written(tmp_path / "nodes.yaml", server, accelerators=gpus)
        result = flotilla("doctor", path)
    assert result.exit_code == 1
    assert "driver: could not be read: OSError: nvidia-smi: Unable to determine" in result.stdout


def test_the_same_word_of_warning_on_many_nodes_is_one_line_and_each_failure_its_own() -> None:
    few, gone = {"files": 20_000}, {"exists": False}
    nodes = [seen(name, system=few, local_disk=gone) for name in ("n1", "n2", "n3")]
    console = Console(width=132)
    with console.capture() as shown:
        console.print(view(list(judged(nodes))), soft_wrap=True)
    lines = [line.strip() for line in shown.get().splitlines()]
    assert sum(line.startswith("n1, n2, n3: open files: 20,000") for line in lines) == 1
    for name in ("n1", "n2", "n3"):
        assert f"{name}: local storage: there is no /nvme: `sudo mkdir -p /nvme" in "\n".join(lines)


def test_without_an_inventory_this_machine_is_looked_at(tmp_path: Path) -> None:
    result = flotilla("doctor")
    lines = result.stdout.splitlines()
    assert lines[1].startswith("this-machine  127.0.0.2")
    assert lines[-1].startswith("1 machine: ")
    assert result.exit_code == (0 if lines[-1].endswith(" 0 fail") else 1)
