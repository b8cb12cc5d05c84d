"""Machines asked over a real ssh: what each kind of broken node costs, and whom."""

import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import examination, remote
from cluster.checking.check import State
from cluster.examination import Here, examine, examine_here
from cluster.inventory import Inventory, Node
from cluster.preflight import Report
from cluster.this_machine import inventory_of_this_machine
from tests.cluster.node_answers import named
from tests.sshd import Sshd, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

GATEWAY_PORT = 8000
AS_ASKED = 'exec sh -c "$SSH_ORIGINAL_COMMAND"'
#: Python reads a `sitecustomize` of its path before anything else.
TEN_MINUTES_EARLY = "import time; now = time.time; time.time = lambda: now() - 600"
#: A user without rights, on a PATH that is open to it.
AS_NOBODY = (
    "HOME=/ LOGNAME=nobody PATH=/usr/bin:/bin "
    'exec setpriv --reuid=65534 --clear-groups sh -c "$SSH_ORIGINAL_COMMAND"'
)


def inventory_of(*servers: Sshd, ssh: dict[str, Any] | None = None) -> Inventory:
    nodes = [
        {"name": f"n{at}", "address": server.address, "ssh": {"port": server.port}}
        for at, server in enumerate(servers, 1)
    ]
    login = ssh or servers[0].ssh.model_dump(exclude={"port"})
    cpu = {"kind": "cpu", "count": 1, "memory_gib": 0.1}
    return Inventory.model_validate(
        {"name": "t", "head": "n1", "ssh": login, "accelerators": cpu, "nodes": nodes}
    )


async def report_on(server: Sshd, **login: Any) -> Report:
    ssh = {**server.ssh.model_dump(exclude={"port"}), **login}
    (report,) = await examine(inventory_of(server, ssh=ssh), GATEWAY_PORT)
    return report


def only(report: Report) -> str:
    """All that a node without facts is told, as a line."""
    (check,) = report.checks
    assert check.state is State.FAIL
    assert check.name in ("ssh", "facts")
    return f"{check.text}: {check.fix}"


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    with Sshd() as server:
        yield server


async def test_nodes_that_answer_are_judged_in_the_order_of_the_inventory() -> None:
    with Sshd("127.0.0.2") as first, Sshd("127.0.0.3", key=first.key) as second:
        reports = await examine(inventory_of(first, second), GATEWAY_PORT)
    assert [report.machine.name for report in reports] == ["n1", "n2"]
    for report in reports:
        assert named(report.checks, "ssh").state is State.OK
        assert named(report.checks, "clock").state is State.OK
        assert named(report.checks, "address").state is State.OK
        assert named(report.checks, "accelerators").state is State.OK


async def test_a_refused_key_is_said_with_the_login(sshd: Sshd) -> None:
    (sshd.folder / "authorized_keys").write_text("")
    said = only(await report_on(sshd))
    assert said.endswith("refused the login: check `ssh.user` and `ssh.key` of the inventory")


async def test_a_user_that_is_none_is_said_with_the_login(sshd: Sshd) -> None:
    said = only(await report_on(sshd, user="nosuchuser"))
    assert said.startswith("nosuchuser@127.0.0.1 refused the login")


async def test_a_changed_host_key_is_a_failure_and_not_a_question(sshd: Sshd) -> None:
    await report_on(sshd)
    sshd.set_host_key()
    assert "another host key than before" in only(await report_on(sshd))


async def test_a_port_without_sshd_is_said() -> None:
    with Sshd() as server:
        inventory = inventory_of(server)
        server.stop()
        (report,) = await examine(inventory, GATEWAY_PORT)
    assert "has no ssh on this port" in only(report)


async def test_a_dead_node_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "CONNECT_DEADLINE_S", 3)
    with Sshd() as good, socket.create_server(("127.0.0.3", 0)) as mute:
        inventory = inventory_of(good)
        dead = {"name": "dead", "address": "127.0.0.3", "ssh": {"port": mute.getsockname()[1]}}
        nodes = (Node.model_validate(dead), *inventory.nodes)
        reports = await examine(inventory.model_copy(update={"nodes": nodes}), GATEWAY_PORT)
    assert "does not answer" in only(reports[0])
    assert reports[1].answered


async def test_a_node_without_python_is_told_what_to_install() -> None:
    with Sshd(instead='PATH=/nowhere /bin/sh -c "$SSH_ORIGINAL_COMMAND"') as server:
        said = only(await report_on(server))
    assert said == (
        "there is no `python3`: install it, on Debian and Ubuntu: sudo apt-get install python3"
    )


async def test_a_python_that_is_too_old_says_so_by_itself() -> None:
    with Sshd(instead="echo 'SyntaxError: invalid syntax' >&2; exit 1") as server:
        said = only(await report_on(server))
    assert said.startswith("its `python3` failed: SyntaxError: invalid syntax: it takes")


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("echo 'This account is currently not available.'", "'This account is currently not"),
        ("head -c 3000000 /dev/urandom", "instead of facts"),
        ("yes | head -c 100000", "'y?y?y?"),
        ("echo 'flotilla-facts {\"clock_s\": []}'", "facts that are none"),
        ("true", "answered nothing"),
    ],
)
async def test_a_node_that_talks_nonsense_costs_its_own_report(shell: str, words: str) -> None:
    with Sshd(instead=f"cat > /dev/null; {shell}") as server:
        said = only(await report_on(server))
    assert words in said
    assert said.isprintable()
    assert len(said) < 300


async def test_what_start_files_print_is_no_obstacle() -> None:
    with Sshd(instead=f"echo Welcome; {AS_ASKED}") as server:
        report = await report_on(server)
    assert report.answered


async def test_a_node_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "PROBE_DEADLINE_S", 2.0)
    started_s = time.monotonic()
    with Sshd(instead="exec sleep 15") as server:
        said = only(await report_on(server))
    assert "took longer than 2 s" in said
    assert time.monotonic() - started_s < 12


async def test_a_clock_ten_minutes_off_fails_and_blocks() -> None:
    with Sshd(instead=f'PYTHONPATH="$SSHD_FOLDER" {AS_ASKED}') as server:
        (server.folder / "sitecustomize.py").write_text(TEN_MINUTES_EARLY)
        report = await report_on(server)
    check = named(report.checks, "clock")
    assert check.state is State.FAIL
    assert check.text.startswith(("600.", "599."))
    assert check.text.endswith("behind this machine's")
    assert "timedatectl set-ntp true" in check.fix
    assert check in report.blocking


async def test_a_slow_login_is_not_taken_for_a_slow_clock() -> None:
    with Sshd(instead=f"sleep 6; {AS_ASKED}") as server:
        report = await report_on(server)
    assert named(report.checks, "clock").state is State.OK


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: cannot become a user without rights")
async def test_a_refused_sudo_fails_with_the_rule_to_add() -> None:
    with Sshd(instead=AS_NOBODY) as server:
        report = await report_on(server)
    check = named(report.checks, "sudo")
    assert check.state is State.FAIL
    assert "nobody ALL=(ALL) NOPASSWD:ALL" in check.fix


async def test_this_machine_alone_needs_no_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    inventory = inventory_of_this_machine("cpu", 1)
    (report,) = await examine_here(inventory, GATEWAY_PORT, Here("/nowhere", "/nowhere"))
    assert report.answered
    assert named(report.checks, "ssh").state is State.SKIPPED
    assert named(report.checks, "packages").text == "not installed yet"
