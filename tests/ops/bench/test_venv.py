import sys
from pathlib import Path

import pytest

from ops.bench import venv
from ops.bench.errors import CannotInstall


def uv(place: Path, script: str) -> str:
    """A Python with a `uv` of our own beside it."""
    fake = place / "uv"
    fake.write_text(f"#!/bin/sh\necho run >> {place}/runs\n{script}\n")
    fake.chmod(0o700)
    return str(place / "python")


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", uv(tmp_path, "exit 0"))
    place = tmp_path / "rival"
    place.mkdir()

    assert venv.ensure(place, ("a==1",)) == place / "bin" / "python"
    assert venv.ensure(place, ("a==1",)) == place / "bin" / "python"

    assert (tmp_path / "runs").read_text() == "run\nrun\n"


def test_other_packages_make_it_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", uv(tmp_path, "exit 0"))
    place = tmp_path / "rival"
    place.mkdir()

    venv.ensure(place, ("a==1",))
    venv.ensure(place, ("a==2",))

    assert (tmp_path / "runs").read_text() == "run\n" * 4


def test_uvs_own_words_say_why_it_cannot_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", uv(tmp_path, "echo no wheel >&2; exit 1"))

    with pytest.raises(CannotInstall, match="no wheel"):
        venv.ensure(tmp_path / "rival", ("a==1",))


def test_without_uv_nothing_can_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    with pytest.raises(CannotInstall, match="no uv beside"):
        venv.ensure(tmp_path / "rival", ("a==1",))


def test_versions_are_those_of_the_interpreter() -> None:
    (name, version), *rest = venv.versions(Path(sys.executable), ("uvloop",)).items()

    assert name == "uvloop"
    assert version[0].isdigit()
    assert rest == []
