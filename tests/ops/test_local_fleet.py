"""What `flotilla up` decides before and after it starts things."""

import json
from pathlib import Path

import aiohttp
import pytest

from deployments.errors import AnotherWriter, FleetBlocked
from deployments.fleet import Fleet
from deployments.lock import alone
from ops.endpoint import Address, address_of, prove, reachable
from ops.local_fleet import _provable, _require_certificate
from serving.gateway.certificate import Certificate
from tests.deployments.fleets import TWO_NAMES, fleet_of
from tests.fakes import fake_replica
from tests.serving.gateway.certificates import make_pair, missing
from tests.serving.gateway.rig import KEY, gateway


def test_two_commands_do_not_change_things_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))
    with alone(), pytest.raises(AnotherWriter), alone(patience_s=0):
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
    assert reachable(host) == reached


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_certificate_that_gateways_would_refuse_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    files = make_pair(tmp_path)
    text = json.dumps({"certificate": str(files.certificate), "key": str(files.key)})
    made = fleet_of(f"gateway: {{tls: {text}}}\n{TWO_NAMES}")
    _require_certificate(made)
    assert address_of(made.gateway) == Address("https://127.0.0.1:8000/v1", files.certificate)
    files.key.unlink()
    with pytest.raises(FleetBlocked, match=r"gateway.tls: .*privkey.pem: no such file"):
        _require_certificate(made)


@pytest.mark.skipif(bool(missing()), reason=missing())
async def test_the_proof_trusts_the_gateways_own_certificate_and_no_other(tmp_path: Path) -> None:
    files, other = make_pair(tmp_path / "own", "api.example.com"), make_pair(tmp_path / "other")
    async with (
        fake_replica() as replica,
        gateway(tmp_path, replica, certificate=Certificate(files)) as rig,
    ):
        base_url = f"https://127.0.0.1:{rig.port}/v1"
        proved = await prove(Address(base_url, files.certificate), KEY, "tiny")
        assert proved.said == "Hello there."
        async with Address(base_url, other.certificate).session() as session:
            with pytest.raises(aiohttp.ClientSSLError):
                await session.get(base_url)


def fleet(models: str) -> Fleet:
    return fleet_of("device: gpu\nmodels:\n" + models)


def test_the_proof_asks_a_model_that_has_a_replica() -> None:
    idle = "  idle: {source: o/a, max_model_len: 9, replicas: {min: 0, max: 1}}\n"
    gone = "  gone: {unavailable: its weights were never published}\n"
    big = "  big: {source: o/b, max_model_len: 9}\n"
    small = "  small: {replicas_of: big, max_model_len: 5}\n"
    assert _provable(fleet(gone + idle + small + big)) == "small"
    assert _provable(fleet(idle + gone)) == "idle"
