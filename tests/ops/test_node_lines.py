"""What bring-up says while it is at work."""

import pytest

from cluster.bringup import Failure, Progress, Step
from ops.commands.node_lines import NodeLines


def test_a_step_is_summed_up_when_all_have_ended_it_and_a_failure_is_said_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = NodeLines()
    for node in ("one", "two", "three"):
        lines.report(Progress(node, Step.COPY))
    lines.report(Progress("one", Step.COPY, 1.0))
    failure = Failure(Step.COPY, "the disk is full", "free some space")
    lines.report(Progress("two", Step.COPY, 2.0, failure))
    assert capsys.readouterr().err == "two: copy: the disk is full: free some space\n"
    lines.report(Progress("three", Step.COPY, 3.0))
    assert capsys.readouterr().err == "copy    2 of 3 in 3.0 s, the slowest three\n"
