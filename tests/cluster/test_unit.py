import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from cluster.unit import UNIT_NAME, NodeService, unit_text

SERVICE = NodeService(
    user="ubuntu",
    install="/home/ubuntu/flotilla",
    home="/home/ubuntu/.flotilla",
    inventory="/home/ubuntu/.flotilla/inventory.yaml",
    mounts=("/lambda/nfs/models",),
)


def parsed(text: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser wants it
    unit.read_string(text)
    return unit


def test_a_unit_starts_and_stops_ray_as_the_inventory_says() -> None:
    service = parsed(unit_text(SERVICE))["Service"]
    flotilla = '"/home/ubuntu/flotilla/.venv/bin/flotilla"'
    inventory = '"/home/ubuntu/.flotilla/inventory.yaml"'
    assert service["ExecStart"] == f"{flotilla} ray start {inventory} --block"
    assert service["ExecStop"] == f"{flotilla} ray stop {inventory}"
    assert service["User"] == "ubuntu"
    assert service["Environment"] == '"FLOTILLA_HOME=/home/ubuntu/.flotilla"'


def test_a_node_is_tried_again_for_ever() -> None:
    unit = parsed(unit_text(SERVICE))
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit["Service"]["Restart"] == "always"


def test_a_unit_waits_for_the_network_and_the_file_systems() -> None:
    unit = parsed(unit_text(SERVICE))["Unit"]
    assert unit["After"] == unit["Wants"] == "network-online.target"
    assert '"/lambda/nfs/models"' in unit["RequiresMountsFor"].split()


@pytest.mark.parametrize("path", ["/a\nExecStart=/bin/sh", '/a" --x "', "/a$HOME", "/a\\x20b"])
def test_a_path_that_systemd_would_read_differently_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a systemd unit"):
        unit_text(NodeService("ubuntu", "/opt/flotilla", "/home/ubuntu", path))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("folder", ["plain", "with space and 100%"])
def test_systemd_has_nothing_to_say_against_a_unit(tmp_path: Path, folder: str) -> None:
    flotilla = tmp_path / folder / ".venv/bin/flotilla"
    flotilla.parent.mkdir(parents=True)
    flotilla.write_text("#!/bin/sh\n")
    flotilla.chmod(0o755)
    install = str(tmp_path / folder)
    unit = tmp_path / UNIT_NAME
    unit.write_text(
        unit_text(NodeService("ubuntu", install, install, f"{install}/inventory.yaml", ("/srv",)))
    )
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
