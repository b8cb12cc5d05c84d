"""One writer at a time: the second waits for a look of the first to end, not for a command."""

import threading
from pathlib import Path

import pytest

from deployments.errors import AnotherWriter
from deployments.lock import alone


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))


def test_52_whoever_has_no_patience_is_refused_at_once() -> None:
    with alone(), pytest.raises(AnotherWriter, match="wait for it"), alone(patience_s=0):
        pass
    with alone(patience_s=0):
        pass


def test_52_whoever_has_patience_gets_in_when_the_other_leaves() -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with alone():
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=hold)
    other.start()
    assert inside.wait(10)
    threading.Timer(0.01, leave.set).start()
    with alone():
        assert leave.is_set()
    other.join()


def test_an_error_inside_lets_go() -> None:
    with pytest.raises(KeyError), alone():
        raise KeyError
    with alone(patience_s=0):
        pass
