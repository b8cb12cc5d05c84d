"""What a node says of itself: gathered for real on this machine, and read as an outsider's."""

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from cluster import probe, stream_probe
from cluster.checking.check import Seen, State, Wanted
from cluster.node_facts import MARK, MAX_CHARS, Facts, printable, read_facts
from cluster.preflight import judged
from tests.cluster.node_answers import answer, inventory

needs_ip = pytest.mark.skipif(
    shutil.which("ip") is None, reason="no `ip` command: install iproute2"
)
SCRIPTS = [Path(str(module.__file__)) for module in (probe, stream_probe)]
QUESTION: dict[str, Any] = {
    "mark": MARK,
    "address": "127.0.0.1",
    "head": "127.0.0.1",
    "local": "/",
    "shared": "/nowhere/at/all",
    "install": "/nowhere/at/all",
    "home": "/nowhere/at/all",
}
RAIL = {"name": "mlx5_1", "active": True, "gigabits_per_s": 400.0}
#: As an H100's driver answers, and a program that another user runs on it.
DRIVER = """#!/bin/sh
case "$1" in
  --query-gpu=*) echo 'NVIDIA H100 80GB HBM3, 81559, 580.95.05' ;;
  --query-compute-apps=*) printf '1, 70123\\n4194304, [N/A]\\n' ;;
  *) echo '| NVIDIA-SMI 580.95.05   Driver Version: 580.95.05   CUDA Version: 13.0 |' ;;
esac
"""
#: Runs before the probe's last line, to break a part of it.
HANGS = "sudo = lambda question: time.sleep(60)\nsudo.__name__ = 'sudo'"
DIES = "sudo = lambda question: os._exit(1)\nsudo.__name__ = 'sudo'"
TALKS = "sudo = lambda question: 'x' * 10_000_000\nsudo.__name__ = 'sudo'"
REPLACED = "PARTS = tuple(sudo if part.__name__ == 'sudo' else part for part in PARTS)"


def probed(before: str = "", **changes: Any) -> Facts:
    question = json.dumps({**QUESTION, **changes})
    script = f"{SCRIPTS[0].read_text()}\n{before}\nmain(json.loads({question!r}))\n"
    done = subprocess.run(
        [sys.executable, "-"], input=script, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return read_facts(done.stdout)


def any_json() -> Any:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
    return st.recursive(
        leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner)
    )


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_for_nodes_is_python_3_8_and_imports_the_standard_library_only(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


@needs_ip
def test_this_machine_tells_all_its_parts() -> None:
    facts = probed()
    assert facts.unread == {}
    assert facts.system is not None
    assert facts.system.memory_bytes > facts.system.available_bytes > 0
    assert facts.pythons
    assert facts.install is None
    assert facts.local_disk is not None
    assert facts.local_disk.exists
    assert facts.local_disk.kind
    assert facts.shared_disk is not None
    assert not facts.shared_disk.exists
    assert facts.network is not None
    assert facts.network.has_address
    assert facts.network.to_head == "lo"
    assert abs(facts.clock_s - time.time()) < 60


@needs_ip
def test_an_address_that_is_not_here_is_told_so() -> None:
    facts = probed(address="192.0.2.77", head=None)
    assert facts.network is not None
    assert not facts.network.has_address
    assert facts.network.to_head is None


@pytest.mark.parametrize("address", ["127.0.0.5", "::1"])
def test_a_listener_is_seen_with_its_address_and_program(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        port = listener.getsockname()[1]
        (found,) = [each for each in probed().listeners or () if each.port == port]
    assert found.address == address
    assert not found.is_open
    assert not found.ours
    assert found.program == Path("/proc/self/comm").read_text().strip()


def test_a_ray_that_flotilla_started_is_known_by_its_record(tmp_path: Path) -> None:
    listens = "import socket; s = socket.create_server(('127.0.0.1', 0)); "
    with subprocess.Popen(
        [sys.executable, "-c", f"{listens}print(s.getsockname()[1], flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        (tmp_path / "nodes" / "n1").mkdir(parents=True)
        record = {"session": process.pid}
        (tmp_path / "nodes" / "n1" / "cluster.json").write_text(json.dumps(record))
        facts = probed(home=str(tmp_path))
        process.communicate("\n")
    assert [each.port for each in facts.listeners or () if each.ours] == [port]
    assert facts.runs_ours


def test_an_install_is_read_without_being_run() -> None:
    facts = probed(install=sys.prefix)
    assert facts.install is not None
    assert facts.install.python == ".".join(map(str, sys.version_info[:3]))
    assert facts.install.packages["ray"]


def test_what_a_driver_lists_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text(DRIVER)
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    gpus = probed().gpus
    assert gpus is not None
    assert (gpus.driver, gpus.cuda) == ("580.95.05", "13.0")
    assert [(card.name, card.memory_mib) for card in gpus.cards] == [
        ("NVIDIA H100 80GB HBM3", 81559)
    ]
    assert [(each.pid, each.memory_mib, each.ours) for each in gpus.processes] == [
        (1, 70123, False)
    ]


@pytest.mark.parametrize(
    ("breaks", "words"), [(HANGS, "took longer"), (DIES, "it died"), (TALKS, "said too much")]
)
def test_a_part_that_breaks_is_named_and_the_others_are_told(breaks: str, words: str) -> None:
    facts = probed(f"PART_DEADLINE_S = 10\n{breaks}\n{REPLACED}")
    assert facts.sudo is None
    assert list(facts.unread) == ["sudo"]
    assert words in facts.unread["sudo"]
    assert facts.system is not None


def test_what_a_shell_prints_before_does_not_matter() -> None:
    said = f"Welcome!\n{MARK}{json.dumps(answer('10.0.0.1'))}\nbye\n"
    assert read_facts(said).sudo == ""


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", "answered nothing"),
        ("bash: hello\x1b[31m", "'bash: hello?[31m' instead of facts"),
        (MARK, "its JSON"),
        (MARK + "[" * 100_000, "its JSON"),
        (MARK + '{"clock_s": ' + "9" * 5000 + "}", "answered facts that are none"),
        (MARK + "x" * MAX_CHARS, "instead of facts"),
        (MARK + json.dumps({**answer("10.0.0.1"), "more": 1}), "more: Extra inputs"),
        (MARK + json.dumps({**answer("10.0.0.1"), "sudo": "x" * 401}), "sudo: "),
        (MARK + json.dumps({**answer("10.0.0.1"), "clock_s": float("nan")}), "clock_s: "),
        (MARK + json.dumps({**answer("10.0.0.1"), "rails": [RAIL] * 501}), "rails: "),
    ],
)
def test_an_answer_of_another_shape_is_refused_in_a_line(said: str, words: str) -> None:
    with pytest.raises(ValueError, match="answered") as refused:
        read_facts(said)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 300
    assert str(refused.value) == printable(str(refused.value))


@given(any_json())
def test_no_json_whatsoever_breaks_the_reading(value: Any) -> None:
    with pytest.raises(ValueError, match="answered"):
        read_facts(MARK + json.dumps(value))


def like(value: Any) -> Any:
    """Values of the same shape."""
    match value:
        case bool():
            return st.booleans()
        case int():
            return st.just(value) | st.integers(0, 65535)
        case float():
            return st.just(value) | st.floats(0, 1e10)
        case str():
            return st.just(value) | st.text(max_size=9) | st.from_regex(r"[0-9.]{1,9}")
        case list():
            return st.lists(like(value[0]), max_size=9) if value else st.just([])
        case _:
            shape = {key: like(each) for key, each in value.items()}
            return st.fixed_dictionaries(shape)


def answers() -> Any:
    """Answers with any values, any parts of which are missing."""
    said = answer("10.0.0.1")
    parts = {name: st.none() | like(part) for name, part in said.items() if name != "clock_s"}
    unread = st.dictionaries(st.sampled_from(sorted(said)), st.text(max_size=9))
    return st.fixed_dictionaries({**parts, "clock_s": like(0.0), "unread": unread})


@given(st.lists(answers(), min_size=1, max_size=3))
def test_facts_are_judged_whatever_they_say(said: list[dict[str, Any]]) -> None:
    found = inventory()
    try:
        facts = [read_facts(MARK + json.dumps(each)) for each in said]
    except ValueError:
        reject()
    nodes = zip(found.nodes, facts, strict=False)
    seen = [Seen(found, node, each, 0.0, Wanted(8000)) for node, each in nodes]
    for report in judged(seen):
        for check in report.checks:
            assert check.text == printable(check.text)
            assert bool(check.fix) is (check.state in (State.WARN, State.FAIL))
