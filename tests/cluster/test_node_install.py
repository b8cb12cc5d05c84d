"""What is run on a machine to stop Ray there; the programs in its way write down their calls."""

import os
import subprocess
from pathlib import Path

import pytest

from cluster.node_install import STOP_COMMAND
from cluster.unit import UNIT_NAME

IS_ENABLED = f"systemctl is-enabled --quiet {UNIT_NAME}"
DISABLE = f"systemctl disable --now {UNIT_NAME}"
RAY_STOP = "flotilla ray stop"


class Machine:
    """A home with an install, and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.bin = folder / "bin"
        self.install = folder / "flotilla/.venv/bin"
        self.bin.mkdir()
        self.install.mkdir(parents=True)

    def has(self, name: str, then: str, where: Path | None = None) -> None:
        program = (where or self.bin) / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.log}\n{then}\n')
        program.chmod(0o755)

    def stop(self) -> tuple[int, list[str]]:
        done = subprocess.run(
            ["/bin/bash", "-c", STOP_COMMAND],
            env={"PATH": f"{self.bin}:/bin", "HOME": str(self.folder)},
            check=False,
            timeout=20,
        )
        said = self.log.read_text().splitlines() if self.log.exists() else []
        return done.returncode, said


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.has("sudo", 'shift; exec "$@"')
    made.has("flotilla", "", made.install)
    return made


def test_a_service_that_keeps_ray_is_disabled_before_ray_is_stopped(machine: Machine) -> None:
    machine.has("systemctl", "")
    status, said = machine.stop()
    assert status == 0
    assert said[:2] == [IS_ENABLED, f"sudo -n {DISABLE}"]
    assert said[2] == DISABLE
    assert said[3].startswith(RAY_STOP)


def test_a_machine_without_the_service_needs_no_rights(machine: Machine) -> None:
    machine.has("systemctl", "exit 1")
    status, said = machine.stop()
    assert status == 0
    assert said[0] == IS_ENABLED
    assert said[1].startswith(RAY_STOP)


def test_a_service_that_may_not_be_disabled_is_a_failure(machine: Machine) -> None:
    machine.has("systemctl", "")
    machine.has("sudo", "exit 1")
    status, said = machine.stop()
    assert status != 0
    assert not any(line.startswith(RAY_STOP) for line in said)


def test_where_nothing_is_installed_there_is_nothing_to_stop(machine: Machine) -> None:
    machine.has("systemctl", "exit 1")
    os.remove(machine.install / "flotilla")
    assert machine.stop() == (0, [IS_ENABLED])
