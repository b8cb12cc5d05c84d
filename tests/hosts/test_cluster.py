"""A cluster from bare hosts to nothing left: real ssh, real `ray up`, engines over two hosts."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from tests.hosts.host import Host
from tests.hosts.site import FLEET, GATEWAY_PORT, Site, wait_for

pytestmark = pytest.mark.timeout(1800)

#: Nobody is there.
GHOST = "10.77.1.99"
#: Ray's, on every node; the dashboard's agent, on every address of its node.
AGENT_PORT = 52365
REFUSED = "refused"


def run_ray_up(site: Site, options: str = "") -> None:
    """Ray's own command, as the rendered file says."""
    ray = "RAY_UP_enable_autoscaler_v2=0 flotilla/.venv/bin/ray up --yes --no-config-cache"
    site.head.run(f"cd ~ && {ray} {options} rig-ray.yaml < /dev/null", timeout_s=300)


def a_machine_that_fails_is_named_and_the_others_come_up(site: Site) -> None:
    locked, *others = site.nodes
    site.write_inventory(site.nodes, ghost={"address": GHOST})
    locked.run("mv ~/.ssh/authorized_keys ~/.ssh/kept")
    status, _, said = site.flotilla("up rig.yaml", check=False)
    (locked.home / ".ssh" / "kept").rename(locked.home / ".ssh" / "authorized_keys")
    assert status == 1, said
    failed = [line for line in said.splitlines() if line.startswith((locked.node, "ghost"))]
    assert any("ghost: check: ssh: " in line and "is it up" in line for line in failed), said
    assert any(
        f"{locked.node}: check: ssh: " in line and "refused the login" in line for line in failed
    ), said
    assert site.alive() == {site.head.address, *(host.address for host in others)}


def a_second_run_repairs_and_restarts_nothing(site: Site) -> None:
    before = raylets(site.hosts[2:])
    site.write_inventory(site.nodes)
    _, printed, _ = site.flotilla("up rig.yaml")
    assert "rig: 4 of 4 machines up" in printed
    assert site.alive() == {host.address for host in site.hosts}
    assert raylets(site.hosts[2:]) == before


def raylets(of: list[Host]) -> list[str]:
    """Process numbers, by host."""
    return [host.run("pgrep -x raylet").stdout.strip() for host in of]


def two_stages_on_two_hosts_answer_through_every_gateway(site: Site) -> None:
    site.write("fleet.yaml", FLEET)
    site.flotilla("deploy fleet.yaml")
    site.key = site.flotilla("keys create test")[1].strip()
    wide = next(r for r in site.status()["replicas"] if r["application"] == "wide.0")
    assert len(set(wide["stages"])) == 2
    assert wide["stages"] == wide["planned"]
    every = sorted(host.address for host in site.hosts for _ in range(2))
    wait_for(lambda: site.gateways() == every, "two gateways on every host")
    said = {site.says(model, host) for host in site.hosts for model in ("wide", "small")}
    assert len(said) == 1


def serves_own_command_finds_the_rendered_fleet_running(site: Site) -> None:
    before = site.pids()
    site.head.run(
        "cd ~ && flotilla/.venv/bin/flotilla render fleet.yaml > serve.yaml && "
        "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=~/.flotilla/ray_token && "
        "flotilla/.venv/bin/serve deploy serve.yaml",
        timeout_s=120,
    )
    assert len(before) == 2
    wait_for(lambda: site.pids() == before, "the same replicas")
    _, _, said = site.flotilla("deploy fleet.yaml")
    assert "nothing to do" in said


def strangers_are_refused(site: Site) -> None:
    """The test itself is none of the inventory's machines."""
    assert reaches(site.head, 8265) == REFUSED  # the dashboard, on loopback
    assert reaches(site.head, 8001) == REFUSED  # nothing of ours listens there
    for replica in site.status()["replicas"]:
        address = replica["address"]
        for path in ("/v1/models", "/v1/chat/completions", "/metrics", "/invocations", "/health"):
            assert status_of(f"http://{address}{path}") in (401, 404)
    for host in site.hosts:
        assert status_of(f"http://{host.address}:{GATEWAY_PORT}/v1/models") == 401
    for token in ("", "f" * 64):
        assert "token-auth" in said_to_who_joins(site, token)


def reaches(host: Host, port: int) -> str:
    try:
        with socket.create_connection((host.address, port), 3):
            return "open"
    except ConnectionRefusedError:
        return REFUSED
    except TimeoutError:
        return "silent"


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def said_to_who_joins(site: Site, token: str) -> str:
    """What Ray's head answers a stranger."""
    code = f"import ray; ray.init('{site.head.address}:6379', log_to_driver=False)"
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "/usr/bin:/bin", "RAY_AUTH_MODE": "disabled", **auth},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0, "a stranger joined"
    return done.stderr


def behind_a_fence_strangers_reach_the_gateway_and_ssh_only(site: Site) -> None:
    before = site.pids()
    replicas = [r["address"].rsplit(":", 1) for r in site.status()["replicas"]]
    host = {each.address: each for each in site.hosts}
    assert reaches(site.head, 6379) == "open"
    site.flotilla("up rig.yaml --firewall")
    for ports, expected in (((6379, AGENT_PORT), "silent"), ((22, GATEWAY_PORT), "open")):
        assert {reaches(site.head, port) for port in ports} == {expected}
    assert {reaches(host[address], int(port)) for address, port in replicas} == {"silent"}
    assert site.pids() == before
    assert {site.says("wide", each) for each in site.hosts} == {site.says("small", site.head)}


def a_node_in_use_is_not_dismissed(site: Site) -> None:
    used = [host for host in site.nodes if host.address in site.status()["replicas"][0]["stages"]]
    site.write_inventory([host for host in site.nodes if host is not used[0]])
    status, _, said = site.flotilla("up rig.yaml", check=False)
    assert status == 1
    assert f"{used[0].node} is not in the inventory any more and still holds" in said
    assert used[0].address in site.alive()


def a_node_leaves_and_joins_and_nothing_that_serves_notices(site: Site) -> None:
    before = site.pids()
    stages = {stage for replica in site.status()["replicas"] for stage in replica["stages"]}
    spare = next(host for host in site.nodes if host.address not in stages)
    kept = [host for host in site.nodes if host is not spare]
    site.write_inventory(kept)
    site.flotilla("up rig.yaml")
    rest = {host.address for host in (site.head, *kept)}
    wait_for(lambda: site.alive() == rest, "the spare node to be gone")
    wait_for(lambda: set(site.gateways()) == rest, "its gateways to be gone")
    assert spare.processes() == []
    site.write_inventory(site.nodes)
    site.head.run("cd ~ && flotilla/.venv/bin/flotilla render-cluster rig.yaml > rig-ray.yaml")
    run_ray_up(site, "--no-restart")
    every = sorted(host.address for host in site.hosts for _ in range(2))
    wait_for(lambda: site.alive() == set(every), "the spare node to join")
    wait_for(lambda: site.gateways() == every, "its gateways to come")
    assert site.pids() == before


def a_host_is_lost_and_comes_back(site: Site) -> None:
    """First its cable, then its raylet; what it did not hold goes on."""
    small = next(r for r in site.status()["replicas"] if r["application"] == "small.0")
    wide = next(r for r in site.status()["replicas"] if r["application"] == "wide.0")
    lost = next(
        host
        for host in site.nodes
        if host.address in wide["stages"] and host.address not in small["stages"]
    )
    other = next(host for host in site.nodes if host.address in small["stages"])
    lost.set_link("down")
    wait_for(lambda: lost.address not in site.alive(), "the loss to be noticed")
    assert site.says("small", other)
    assert site.pids()["small.0"] == small["pid"]
    lost.set_link("up")
    wait_for(lambda: lost.address in site.alive(), "the host to be back")
    lost.run("pkill -KILL -x raylet")
    wait_for(lambda: lost.address not in site.alive(), "the loss to be noticed")
    wait_for(lambda: site.tries("wide", other), "both stages to answer again", 420)
    assert site.pids()["small.0"] == small["pid"]


def the_head_is_lost_and_comes_back(site: Site) -> None:
    before = site.pids()
    other = site.nodes[0]
    site.head.cut_power()
    assert site.says("small", other)
    assert site.says("wide", other)
    site.head.start()
    site.flotilla("up rig.yaml")
    wait_for(lambda: site.pids() == before, "control, and the same replicas")
    every = sorted(host.address for host in site.hosts for _ in range(2))
    wait_for(lambda: site.gateways() == every, "all gateways")
    _, _, said = site.flotilla("deploy fleet.yaml")
    assert "nothing to do" in said


def nothing_is_left(site: Site) -> None:
    site.flotilla("down rig.yaml")
    assert {host.name: host.processes() for host in site.hosts} == {
        host.name: [] for host in site.hosts
    }
    for host in site.hosts:
        assert host.run("ls /dev/shm").stdout == ""
        assert reaches(host, 6379) == REFUSED
        assert host.run("sudo nft list tables").stdout == ""


#: In this order; each leaves the cluster whole for the next.
STEPS = (
    a_machine_that_fails_is_named_and_the_others_come_up,
    a_second_run_repairs_and_restarts_nothing,
    two_stages_on_two_hosts_answer_through_every_gateway,
    serves_own_command_finds_the_rendered_fleet_running,
    strangers_are_refused,
    a_node_in_use_is_not_dismissed,
    a_node_leaves_and_joins_and_nothing_that_serves_notices,
    behind_a_fence_strangers_reach_the_gateway_and_ssh_only,
    a_host_is_lost_and_comes_back,
    the_head_is_lost_and_comes_back,
    nothing_is_left,
)


def test_a_cluster_from_bare_hosts_to_nothing_left(site: Site) -> None:
    for step in STEPS:
        began_s = time.monotonic()
        step(site)
        print(f"{time.monotonic() - began_s:4.0f} s  {step.__name__}")


def test_plain_ray_up_makes_the_same_cluster(site: Site) -> None:
    site.write_inventory(site.nodes)
    site.head.run("cd ~ && flotilla/.venv/bin/flotilla render-cluster rig.yaml > rig-ray.yaml")
    run_ray_up(site)
    expected = {host.address for host in site.hosts}
    wait_for(lambda: site.alive() == expected, "all nodes to join")
    site.flotilla("down rig.yaml")
    nothing_is_left(site)
