"""Keys on disk: private, whole, and found again."""

import json
import stat
from pathlib import Path

import pytest

from serving.keystore import KeyStore, home, secret_file, write_private
from serving.limits.terms import NO_LIMITS, Limits
from serving.snapshot import KeyRecord

KEY = KeyRecord("abcdefgh", "laptop", b"\x01" * 32, 1790000000, Limits(concurrent=3))


def test_keys_are_found_again_and_nobody_else_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    KeyStore(path).add(KEY)
    assert KeyStore(path).keys == (KEY,)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_of_an_older_file_has_no_limits(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    entry = {"id": "abcdefgh", "name": "laptop", "digest": "01" * 32, "created_s": 1}
    path.write_text(json.dumps([entry]))
    assert [key.limits for key in KeyStore(path).keys] == [NO_LIMITS]


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
