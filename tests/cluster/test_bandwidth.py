"""Streams between nodes: measured for real over ssh on loopback, and judged."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster import stream_probe
from cluster.bandwidth import with_bandwidth
from cluster.checking import bandwidth as judge
from cluster.checking.bandwidth import Stream, bandwidths
from cluster.checking.check import State, fail, ok
from cluster.inventory import Inventory
from cluster.preflight import Report, silent
from cluster.stream_probe import GO, MARK
from tests.cluster.node_answers import named
from tests.cluster.test_examination import inventory_of
from tests.sshd import Sshd, missing

needs_sshd = pytest.mark.skipif(bool(missing()), reason=missing())
NO_WAY = "echo 'no way' >&2; exit 1"
TOKENS = {"a" * 32: "first", "b" * 32: "second"}
SCRIPT = Path(stream_probe.__file__).read_text()


def stream(sender: str, rate: float | None, cause: str = "", *, to_head: bool = True) -> Stream:
    return Stream(sender, "n1", to_head, rate, cause)


def reports_of(inventory: Inventory) -> list[Report]:
    return [Report(node, {"login": (ok("ssh", "as ubuntu"),)}) for node in inventory.nodes]


@contextmanager
def receiver(address: str = "127.0.0.4") -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """A receiving end, and its port."""
    call = f"\nreceive({address!r}, {TOKENS!r}, 20)\n"
    with subprocess.Popen(
        [sys.executable, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(SCRIPT + call)
        process.stdin.close()
        try:
            yield json.loads(process.stdout.readline().removeprefix(MARK))["port"], process
        finally:
            process.kill()


def send(address: str, port: int, token: str) -> "subprocess.CompletedProcess[str]":
    call = f"\nsend({address!r}, {port}, {token!r}, 20)\n"
    return subprocess.run(
        [sys.executable, "-"], input=SCRIPT + call, capture_output=True, text=True, check=False
    )


def next_figure(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout
    found: dict[str, Any] = json.loads(process.stdout.readline().removeprefix(MARK))
    return found


def test_every_sender_is_told_its_figures() -> None:
    found = bandwidths([stream("n2", 2.5e9), stream("n3", 2.4e9)])
    assert found["n2"].state is State.OK
    assert found["n2"].text == "2.50 GB/s to n1"


def test_a_pair_below_half_of_the_median_is_named() -> None:
    found = bandwidths([stream("n2", 2.5e9), stream("n3", 2.4e9), stream("n4", 0.9e9)])
    assert found["n4"].state is State.WARN
    assert found["n4"].text == "0.90 GB/s to n1, of 2.40 in the middle"
    assert found["n2"].state is found["n3"].state is State.OK


def test_a_ring_is_not_held_against_streams_to_the_head() -> None:
    found = bandwidths([stream("n2", 10e9), stream("n2", 1e9, to_head=False)])
    assert found["n2"].state is State.OK


def test_a_pair_without_a_connection_fails_with_its_cause() -> None:
    check = bandwidths([stream("n2", None, "timed out"), stream("n3", 1e9)])["n2"]
    assert check.state is State.FAIL
    assert check.text == "to n1: timed out"
    assert "firewall" in check.fix


def test_strangers_get_nothing_and_keep_nobody_waiting() -> None:
    with receiver() as (port, process):
        for hello in (b"", b"x" * 32, b"x" * 5, b"GET / HTTP/1.1\r\n\r\n" * 9):
            with socket.create_connection(("127.0.0.4", port), 5) as stranger:
                stranger.sendall(hello)
                assert _received(stranger) == b""
        assert send("127.0.0.4", port, "b" * 32).returncode == 0
        figure = next_figure(process)
    assert figure["sender"] == "second"
    assert figure["bytes"] > 0
    assert 0 < figure["seconds"] < 10


def _received(stranger: socket.socket) -> bytes:
    """Nothing, however it is told so."""
    try:
        return stranger.recv(100)
    except ConnectionResetError:
        return b""


def test_a_token_is_good_for_one_stream() -> None:
    with receiver() as (port, process):
        assert send("127.0.0.4", port, "a" * 32).returncode == 0
        assert next_figure(process)["sender"] == "first"
        again = send("127.0.0.4", port, "a" * 32)
        assert again.returncode == 1
        assert "closed the connection" in again.stderr
        assert send("127.0.0.4", port, "b" * 32).returncode == 0
        assert process.wait(10) == 0


def test_a_receiver_listens_on_its_address_alone() -> None:
    with receiver("127.0.0.4") as (port, _):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)
        refused = send("127.0.0.1", port, "a" * 32)
    assert refused.returncode == 1
    assert re.match(r"no connection to port \d+ of 127.0.0.1: ", refused.stderr)


def test_a_receiver_waits_for_its_turn_before_it_lets_a_sender_go() -> None:
    with receiver() as (port, _), socket.create_connection(("127.0.0.4", port), 5) as sender:
        sender.sendall(b"a" * 32)
        assert sender.recv(2, socket.MSG_WAITALL) == GO


@needs_sshd
async def test_three_nodes_stream_to_the_head_and_around_a_ring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # How fast this machine is at the moment is not the question.
    monkeypatch.setattr(judge, "SLOW", 0.0)
    with ExitStack() as stack:
        first = stack.enter_context(Sshd("127.0.0.2"))
        second = stack.enter_context(Sshd("127.0.0.3", key=first.key))
        third = stack.enter_context(Sshd("127.0.0.4", key=first.key))
        inventory = inventory_of(first, second, third)
        reports = await with_bandwidth(inventory, reports_of(inventory))
    texts = [named(report.checks, "bandwidth").text for report in reports]
    assert re.match(r"[\d.]+ GB/s to n2 in the ring", texts[0])
    assert re.match(r"[\d.]+ GB/s to n1.*[\d.]+ GB/s to n3 in the ring", texts[1])
    assert re.match(r"[\d.]+ GB/s to n1.*[\d.]+ GB/s to n1 in the ring", texts[2])
    assert not any(report.failed for report in reports)


@needs_sshd
async def test_a_node_that_cannot_measure_fails_alone_and_one_without_facts_is_left_out() -> None:
    with ExitStack() as stack:
        first = stack.enter_context(Sshd("127.0.0.2"))
        second = stack.enter_context(Sshd("127.0.0.3", key=first.key))
        broken = stack.enter_context(Sshd("127.0.0.4", key=first.key, instead=NO_WAY))
        inventory = inventory_of(first, second, broken, broken)
        found = reports_of(inventory)
        found[3] = silent(inventory.nodes[3], fail("ssh", "is gone", "is it up?"))
        reports = await with_bandwidth(inventory, found)
    # n2 sends to the head and to n3, which takes nothing; n3 sends to nobody.
    assert named(reports[1].checks, "bandwidth").text == "to n3: it takes no streams: no way"
    assert "to n1: no way" in named(reports[2].checks, "bandwidth").text
    assert reports[0].failed == ()
    assert [check.name for check in reports[3].checks] == ["ssh"]


@needs_sshd
async def test_one_machine_has_nobody_to_stream_to() -> None:
    with Sshd() as server:
        inventory = inventory_of(server)
        reports = await with_bandwidth(inventory, reports_of(inventory))
    assert [check.name for check in reports[0].checks] == ["ssh"]
