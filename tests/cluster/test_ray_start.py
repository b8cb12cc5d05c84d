"""What each machine of an inventory is started with."""

from pathlib import Path

import pytest

from cluster.inherited import OPERATORS_SECRETS, without_secrets
from cluster.inventory import Accelerators, Inventory, Machine, Node, Storage
from cluster.lambda_cloud import KEY_VARIABLE
from cluster.ray_start import (
    Place,
    machine_at,
    ray_environment,
    start_command,
    start_environment,
)

PLACE = Place(ray="/venv/bin/ray", home="/home/ubuntu/.flotilla", interface="eno1")
H100 = Accelerators(kind="h100-sxm-80gb", count=8)
NODES = (
    Node(name="n1", address="172.26.0.11", labels={"rack": "a"}),
    Node(name="n2", address="172.26.0.12"),
)


def inventory(head: str | Machine, accelerators: Accelerators = H100) -> Inventory:
    storage = Storage(local="/mnt/models")
    return Inventory(name="c", head=head, accelerators=accelerators, storage=storage, nodes=NODES)


def values(command: list[str], option: str) -> list[str]:
    return [command[at + 1] for at, word in enumerate(command) if word == option]


def test_the_dashboard_of_a_head_listens_on_loopback_and_nothing_asks_for_all_addresses() -> None:
    command = start_command(inventory("n1"), NODES[0], PLACE, "/bootstrap.yaml")
    assert values(command, "--dashboard-host") == ["127.0.0.1"]
    assert values(command, "--node-ip-address") == ["172.26.0.11"]
    assert values(command, "--autoscaling-config") == ["/bootstrap.yaml"]
    assert "0.0.0.0" not in command  # noqa: S104 - looked for, not bound


def test_a_worker_joins_the_head_and_begins_nothing_of_its_own() -> None:
    command = start_command(inventory("n1"), NODES[1], PLACE)
    assert values(command, "--address") == ["172.26.0.11:6379"]
    assert "--head" not in command


def test_a_node_offers_what_the_inventory_says_under_the_name_that_stages_ask_for() -> None:
    assert values(start_command(inventory("n1"), NODES[1], PLACE), "--num-gpus") == ["8"]
    cpu = Accelerators(kind="cpu", count=3, memory_gib=2.5)
    command = start_command(inventory("n1", cpu), NODES[1], PLACE)
    assert values(command, "--num-gpus") == ["0"]
    assert values(command, "--resources") == ['{"slot": 3}']


def test_a_head_of_its_own_offers_no_accelerators() -> None:
    head = Machine(name="head-1", address="172.26.0.10")
    command = start_command(inventory(head), head, PLACE)
    assert values(command, "--num-gpus") == ["0"]
    assert "--resources" not in command


def test_a_node_carries_its_address_and_its_own_labels() -> None:
    command = start_command(inventory("n1"), NODES[0], PLACE)
    assert values(command, "--labels") == ["flotilla/address=172.26.0.11,rack=a"]


def test_each_node_has_its_own_address_and_interface_and_only_the_rails() -> None:
    environment = start_environment(inventory("n1"), NODES[1], PLACE)
    assert environment["VLLM_HOST_IP"] == "172.26.0.12"
    assert environment["NCCL_SOCKET_IFNAME"] == environment["GLOO_SOCKET_IFNAME"] == "eno1"
    assert environment["NCCL_IB_HCA"] == "^mlx5_0"
    assert environment["VLLM_CACHE_ROOT"] == "/mnt/models/.vllm-cache"
    assert environment["HF_HUB_OFFLINE"] == "1"


def test_where_there_is_no_fabric_nothing_is_said_of_rails() -> None:
    cpu = Accelerators(kind="cpu", count=3, memory_gib=2.5)
    assert "NCCL_IB_HCA" not in start_environment(inventory("n1", cpu), NODES[1], PLACE)


def test_token_authentication_is_on_for_every_machine_and_for_who_talks_to_them() -> None:
    for environment in (
        start_environment(inventory("n1"), NODES[0], PLACE),
        ray_environment(inventory("n1"), PLACE.home),
    ):
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN_PATH"] == "/home/ubuntu/.flotilla/ray_token"
        assert not any(name == "RAY_AUTH_TOKEN" for name in environment)


def test_what_the_operator_holds_for_commands_of_his_own_is_not_inherited() -> None:
    """Paths are, and where to find the hub."""
    kept = {"PATH": "/bin", "HF_HOME": "/mnt/hub", "HF_TOKEN_PATH": "/mnt/token"}
    own = dict.fromkeys(OPERATORS_SECRETS, "secret")
    assert {"HF_TOKEN", KEY_VARIABLE, "OPENAI_API_KEY"} <= own.keys()
    assert without_secrets({**kept, **own}) == kept


def test_a_machine_is_known_by_its_address_and_takes_the_interface_that_has_it() -> None:
    addresses = {"127.0.0.1": "lo", "172.26.0.12": "bond0"}
    assert machine_at(inventory("n1"), addresses) == (NODES[1], "bond0")
    assert machine_at(inventory("n1"), {"127.0.0.1": "lo"}) is None


def test_an_interface_that_the_inventory_names_goes_before_the_found_one() -> None:
    named = inventory("n1").model_copy(update={"interface": "ib0"})
    assert machine_at(named, {"172.26.0.12": "bond0"}) == (NODES[1], "ib0")


def test_an_inventory_without_a_head_starts_nothing() -> None:
    headless = Inventory(name="c", accelerators=H100, nodes=NODES)
    with pytest.raises(ValueError, match="names no head"):
        start_command(headless, NODES[0], PLACE)


def test_the_command_is_that_of_the_install() -> None:
    assert Path(start_command(inventory("n1"), NODES[0], PLACE)[0]) == Path("/venv/bin/ray")
