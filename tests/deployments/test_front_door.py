"""The HAProxy config of a fleet: what stands in it, and that HAProxy takes it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cluster.inventory import Inventory
from deployments.errors import FleetBlocked
from deployments.fleet import Fleet, Gateway, Tls
from deployments.front_door import KEEP_ALIVE_S, render_front_door
from deployments.inventory_file import load_inventory
from deployments.load import load
from serving.bounds import Deadlines

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "ops" / "front_door" / "haproxy.cfg"
FLEET = ROOT / "deployments" / "fleets" / "lambda-1cc-2-nodes.yaml"
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
PUBLIC = "0.0.0.0"  # noqa: S104 - to render, not to bind


def fleet(host: str = PUBLIC, tls: Tls | None = None) -> Fleet:
    return load(FLEET).model_copy(update={"gateway": Gateway(host=host, tls=tls)})


def inventory() -> Inventory:
    return load_inventory(Path(str(fleet().inventory)))


def test_the_example_is_what_the_command_prints() -> None:
    assert EXAMPLE.read_text() == render_front_door(fleet(), inventory())


@pytest.mark.skipif(HAPROXY is None, reason="no `haproxy`: install haproxy")
@pytest.mark.parametrize("tls", [None, Tls(certificate="/c", key="/k")], ids=["plain", "tls"])
def test_haproxy_takes_it_without_a_warning(tmp_path: Path, tls: Tls | None) -> None:
    text = render_front_door(fleet(tls=tls), inventory())
    # The certificates of another machine, and rights that no test has.
    text = text.replace(" ssl crt /etc/haproxy/flotilla.pem", "")
    text = re.sub(r" ca-file \S+", " ca-file @system-ca", text)
    text = re.sub(r"(?m)^    (user|group|chroot) .*\n", "", text)
    path = tmp_path / "haproxy.cfg"
    path.write_text(text)
    done = subprocess.run(
        (str(HAPROXY), "-c", "-f", str(path)), capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "WARNING" not in said


def test_every_node_is_a_server_at_the_gateways_port() -> None:
    lines = re.findall(r"(?m)^    server +(\S+) +(\S+)$", render_front_door(fleet(), inventory()))
    assert lines == [("node-1", "172.26.0.11:8000"), ("node-2", "172.26.0.12:8000")]


def test_a_fleet_with_tls_is_asked_over_tls_and_has_to_prove_itself() -> None:
    text = render_front_door(fleet(tls=Tls(certificate="/c", key="/k")), inventory())
    (line,) = re.findall(r"(?m)^    default-server .*$", text)
    assert " ssl verify required ca-file /etc/haproxy/flotilla-gateways.pem" in line
    assert "verify" not in render_front_door(fleet(), inventory())


def test_gateways_on_loopback_are_behind_no_front_door() -> None:
    with pytest.raises(FleetBlocked) as refused:
        render_front_door(fleet(host="127.0.0.1"), inventory())
    assert str(refused.value) == (
        "gateway.host: is 127.0.0.1, where no other machine gets through: write `host: 0.0.0.0`"
    )


def test_what_haproxy_says_itself_has_the_four_keys_of_our_errors() -> None:
    text = render_front_door(fleet(), inventory())
    answers = dict(re.findall(r"http-error status (\d+) .* string '(.*)'", text))
    assert sorted(answers) == ["500", "502", "503", "504"]
    for body in answers.values():
        assert sorted(json.loads(body)["error"]) == ["code", "message", "param", "type"]


def test_only_a_request_that_was_not_sent_is_sent_again() -> None:
    assert re.findall(r"retry-on (.*)", render_front_door(fleet(), inventory())) == ["conn-failure"]


def test_haproxy_closes_an_idle_connection_before_a_gateway_does() -> None:
    assert Deadlines().keep_alive_s > KEEP_ALIVE_S
