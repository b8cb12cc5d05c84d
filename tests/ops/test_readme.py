"""What the README shows is what the command prints."""

from pathlib import Path

import pytest

from tests.ops.test_cli import _vllm_says_yes, flotilla

__all__ = ["_vllm_says_yes"]

ROOT = Path(__file__).parents[2]
TWO_NODES = "two-nodes.yaml"


def shown(command: str) -> list[str]:
    """The lines that the README prints under a command."""
    block = (ROOT / "README.md").read_text().split(f"$ {command}\n")[1].split("\n```")[0]
    return [line.rstrip() for line in block.split("\n$ ")[0].splitlines()]


@pytest.fixture(autouse=True)
def _nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", "http://127.0.0.1:1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))


@pytest.mark.parametrize("more", ["", " --explain llama3.1-70b-instruct-fp8"])
def test_the_plan_of_the_whole_list_is_the_one_in_the_readme(
    monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    monkeypatch.chdir(ROOT)
    command = f"plan deployments/fleets/lambda-1cc-6-nodes.yaml{more}"
    printed = flotilla(*command.split()).stdout
    assert [line.rstrip() for line in printed.splitlines()] == shown(f"flotilla {command}")


def test_the_blocked_plan_is_the_one_in_the_readme(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "inventories").symlink_to(ROOT / "deployments" / "fleets" / "inventories")
    (tmp_path / TWO_NODES).write_text("\n".join(shown(f"cat {TWO_NODES}")) + "\n")
    monkeypatch.chdir(tmp_path)
    printed = flotilla("plan", TWO_NODES).stdout
    assert [line.rstrip() for line in printed.splitlines()] == shown(f"flotilla plan {TWO_NODES}")


@pytest.mark.parametrize(
    "what",
    [
        "exactly-once generation",
        "resuming a stream that was cut",
        "surviving the loss of all replicas of a model",
        "encryption between nodes",
    ],
)
def test_what_is_not_promised_is_said(what: str) -> None:
    said = " ".join((ROOT / "README.md").read_text().split())
    assert what in said.split("**It does not promise**")[1].split(". ")[0]
