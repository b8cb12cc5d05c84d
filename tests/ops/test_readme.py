"""What the README promises, and what it does not. Its commands are run by `tests/docs`."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text())
    inside = [link for link in links if not link.startswith("http")]
    assert len(inside) > 10
    assert [link for link in inside if not (ROOT / link).exists()] == []
