"""What `flotilla up` decides before and after it starts things."""

from pathlib import Path

import pytest

from deployments.fleet import Fleet
from ops.errors import AnotherCommand
from ops.local_fleet import _provable, _reachable
from ops.lock import alone
from tests.deployments.fleets import fleet_of


def test_two_commands_do_not_change_things_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))
    with alone(), pytest.raises(AnotherCommand), alone():
        pass
    with alone():
        pass


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - an address to read, not to bind
        ("::", "127.0.0.1"),
        ("fd00::1", "[fd00::1]"),
    ],
)
def test_a_url_has_an_address_that_can_be_reached(host: str, reached: str) -> None:
    assert _reachable(host) == reached


def fleet(models: str) -> Fleet:
    return fleet_of("device: gpu\nmodels:\n" + models)


def test_the_proof_asks_a_model_that_has_a_replica() -> None:
    idle = "  idle: {source: o/a, max_model_len: 9, replicas: {min: 0, max: 1}}\n"
    gone = "  gone: {unavailable: its weights were never published}\n"
    big = "  big: {source: o/b, max_model_len: 9}\n"
    small = "  small: {replicas_of: big, max_model_len: 5}\n"
    assert _provable(fleet(gone + idle + small + big)) == "small"
    assert _provable(fleet(idle + gone)) == "idle"
