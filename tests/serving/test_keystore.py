"""Secrets on disk: private, whole, and found again."""

import stat
from pathlib import Path

import pytest

from serving.keystore import home, secret_file, write_private


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    assert len(secret_file(path)) == 64
    assert secret_file(path) == secret_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_who_comes_second_takes_the_secret_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    first = secret_file(path)
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert secret_file(path) == first
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "text"
    write_private(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")
    assert path.read_text() == "old"


def test_home_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path / "h"))
    assert stat.S_IMODE(home().stat().st_mode) == 0o700


def test_home_is_the_same_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOTILLA_HOME", "h")
    assert home() == tmp_path / "h"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FLOTILLA_HOME", "")
    assert home() == tmp_path / ".flotilla"
