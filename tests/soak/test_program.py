"""What a process says of itself is heard."""

from pathlib import Path

import pytest

from tests.soak.program import Program

FAULT = "request 8f: KeyError at job.py:1 run"


@pytest.mark.parametrize(
    ("line", "is_complaint"),
    [
        (f"2026-11-28 18:13:40,271\tERROR job.py:239 -- {FAULT}", True),
        (f"ERROR 2026-11-28 18:13:40,271 serve 2759 -- {FAULT}", True),
        (f"ERROR:serving.gateway.job:{FAULT}", True),
        ("Traceback (most recent call last):", True),
        ("2026-11-28 18:13:40,271\tWARNING core.py:293 -- replica a is left out: died", False),
        ("ERROR:deployments.ledger.bookkeeper:the ledger is locked", False),
    ],
)
def test_a_fault_of_ours_is_a_complaint_in_whichever_form_it_is_logged(
    tmp_path: Path, line: str, is_complaint: bool
) -> None:
    (tmp_path / "gateway-0.1.log").write_text(f"{line}\n")
    found = Program("gateway", "gateway-0", tmp_path).complaints()
    assert found == ([f"gateway-0 says: {line}"] if is_complaint else [])
