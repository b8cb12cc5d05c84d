"""This machine as an inventory. The driver's tool is scripted: no GPU is here."""

from pathlib import Path

import pytest

from cluster.errors import PrerequisiteMissing
from cluster.this_machine import inventory_of_this_machine


def scripted(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    command = directory / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


def test_gpus_are_what_the_driver_lists_and_count_as_the_smallest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = "echo 'NVIDIA H100 80GB HBM3, 81559'; echo 'NVIDIA H100 80GB HBM3, 40960'"
    scripted(tmp_path, monkeypatch, listed)
    (node,) = inventory_of_this_machine("gpu").nodes
    assert node.accelerators is not None
    assert (node.accelerators.kind, node.accelerators.count) == ("nvidia-h100-80gb-hbm3", 2)
    assert node.accelerators.memory_gib == 40.0


@pytest.mark.parametrize(
    ("script", "said"), [("exit 9", "nvidia-smi does not work here"), ("true", "lists no GPU")]
)
def test_a_driver_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    scripted(tmp_path, monkeypatch, script)
    with pytest.raises(PrerequisiteMissing, match=said):
        inventory_of_this_machine("gpu")


def test_a_machine_without_gpus_has_slots() -> None:
    (node,) = inventory_of_this_machine("cpu", slots=3).nodes
    assert node.accelerators is not None
    assert (node.accelerators.kind, node.accelerators.count) == ("cpu", 3)
