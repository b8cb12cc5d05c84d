"""`flotilla simulate` as an operator sees it."""

import json
from pathlib import Path

import pytest

from deployments.calibration_file import calibration_text
from tests.deployments.calibrations import Law
from tests.ops.test_cli import flotilla

NODES = "name: two\naccelerators: {kind: h100-sxm-80gb, count: 8}\nnodes:\n" + "".join(
    f"  - {{name: n{at}, address: 10.0.0.{at}}}\n" for at in (1, 2)
)
FLEET = "inventory: nodes.yaml\nmodels:\n  llama3.1-8b-instruct: {replicas: {min: 2, max: 4}}\n"


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    (tmp_path / "nodes.yaml").write_text(NODES)
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    return path


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.jsonl"
    each = {"input_length": 1500, "output_length": 20}
    lines = ({**each, "timestamp": 100 * n, "hash_ids": [n % 7, n + 9]} for n in range(200))
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_the_table_says_what_it_rests_on(fleet: Path, trace: Path) -> None:
    result = flotilla("simulate", fleet, "--trace", trace)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["model", "requests", "lost"]
    assert lines[1].split()[:3] == ["llama3.1-8b-instruct", "200", "0"]
    assert "llama3.1-8b-instruct: estimated: data sheet of h100-sxm-80gb" in result.stdout
    assert "nothing was measured" in result.stdout


def test_the_same_command_prints_the_same_json(fleet: Path, trace: Path) -> None:
    command = ("simulate", fleet, "--trace", trace, "--json", "--speed", "2", "--repeat", "2")
    first, second = flotilla(*command), flotilla(*command)
    assert first.stdout == second.stdout
    said = json.loads(first.stdout)
    assert said["total"]["requests"] == 400
    assert said["models"]["llama3.1-8b-instruct"]["basis"] == "estimated"
    assert 0 < said["total"]["hit_rate"] < 1


def test_a_calibration_that_was_measured_counts_before_an_estimate(
    fleet: Path, trace: Path, tmp_path: Path
) -> None:
    file = tmp_path / "measured.yaml"
    file.write_text(calibration_text(Law().calibration("llama3.1-8b-instruct", "h100-sxm-80gb")))
    result = flotilla("simulate", fleet, "--trace", trace, "--calibration", file)
    assert "llama3.1-8b-instruct: measured: a test" in result.stdout


def test_nodes_leave_return_and_are_many(fleet: Path, trace: Path) -> None:
    result = flotilla(
        *("simulate", fleet, "--trace", trace, "--nodes", "5", "--json"),
        *("--event", "5 n1 leaves", "--event", "8 n1-copy-1 leaves"),
    )
    assert result.exit_code == 2
    assert "there is no node n1-copy-1" in result.stderr
    result = flotilla(
        *("simulate", fleet, "--trace", trace, "--nodes", "5", "--json"),
        *("--event", "5 n1 leaves", "--event", "9 n1 returns", "--event", "10 load x2"),
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["total"]["requests"] == 200


def test_bad_lines_are_counted_in_the_report(fleet: Path, trace: Path) -> None:
    with trace.open("a") as file:
        file.write("{\n")
    result = flotilla("simulate", fleet, "--trace", trace)
    assert "1 lines of the trace were left out:" in result.stdout
    assert f"{trace}:201" in result.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "is empty: it holds no request"), ("\x00\x01", "trace.jsonl:1: "), ("[]", "object")],
)
def test_what_is_no_trace_is_refused_with_status_2(
    fleet: Path, trace: Path, text: str, reason: str
) -> None:
    trace.write_text(text)
    result = flotilla("simulate", fleet, "--trace", trace)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_what_nobody_measured_and_nobody_can_estimate_is_refused(
    tmp_path: Path, trace: Path
) -> None:
    (tmp_path / "nodes.yaml").write_text(NODES)
    path = tmp_path / "fleet.yaml"
    path.write_text("inventory: nodes.yaml\nmodels:\n  x: {source: a/b, max_model_len: 4096}\n")
    result = flotilla("simulate", path, "--trace", trace)
    assert result.exit_code == 2
    assert "nobody has measured it on h100-sxm-80gb as 1 x 1" in result.stderr
    assert "run `flotilla calibrate`" in result.stderr


def test_blocks_that_do_not_divide_each_other_are_refused(fleet: Path, trace: Path) -> None:
    result = flotilla("simulate", fleet, "--trace", trace, "--block-tokens", "500")
    assert result.exit_code == 2
    assert "blocks of 500 tokens in the trace and 16 in the engine" in result.stderr


def test_pictures_without_matplotlib_say_what_is_missing(
    fleet: Path, trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    result = flotilla("simulate", fleet, "--trace", trace, "--plots", tmp_path / "plots")
    assert result.exit_code == 1
    assert "pip install 'flotilla[plots]'" in result.stderr
