"""Calibration files: written and read again, and what is refused."""

from pathlib import Path

import pytest

from deployments.calibration_file import (
    calibration_text,
    committed_calibrations,
    load_calibration,
    parse_calibration,
)
from deployments.errors import CalibrationInvalid
from tests.deployments.calibrations import Law

TEXT = calibration_text(Law().calibration())


def refused(text: str) -> str:
    with pytest.raises(CalibrationInvalid) as raised:
        parse_calibration(text.encode(), "c.yaml")
    return str(raised.value)


def test_what_is_written_is_read_again() -> None:
    assert parse_calibration(TEXT.encode(), "c.yaml") == Law().calibration()


def test_every_calibration_that_comes_with_flotilla_says_what_it_rests_on() -> None:
    for calibration in committed_calibrations():
        assert calibration.basis == "measured", "estimates are made, not kept"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("model: m", "model: m\nmodle: x", "modle: is unknown; did you mean `model`?"),
        ("tokens: 64\n", "tokens: 16\n", "the points of prefill do not rise"),
        ("median: 0.01,", "median: 9,", "low, median and high are not in this order"),
        ("basis: measured", "basis: guessed", "'measured' or 'estimated'"),
        ("sequences: 16}", "sequences: 0}", "batch.sequences"),
        ("median: 40.0", "median: .nan", "start.median"),
        ("model: m", "model: &m x", "anchors, aliases"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(old: str, new: str, reason: str) -> None:
    assert old in TEXT
    said = refused(TEXT.replace(old, new, 1))
    assert reason in said
    assert said.startswith("c.yaml:")


def test_what_is_no_calibration_says_how_to_make_one(tmp_path: Path) -> None:
    assert "`flotilla calibrate` makes one" in refused("- 1\n")
    with pytest.raises(CalibrationInvalid, match="no such file"):
        load_calibration(tmp_path / "none.yaml")
