"""An inventory as the config of a plain `ray up`; that Ray takes it is tested on hosts."""

from pathlib import Path

import pytest

from cluster.inventory import Accelerators, Inventory, Machine, Node
from cluster.login import NodeSsh, Ssh
from cluster.ray_up import Sources, obstacles, ray_up_config
from cluster.ray_up_run import cause
from deployments.inventory_file import load_inventory
from ops.cluster_file import cluster_text

SOURCES = Sources(tree="/srv/flotilla", inventory="/srv/my.yaml", token="/srv/token")
NODES = (Node(name="n1", address="172.26.0.11"), Node(name="n2", address="172.26.0.12"))


def inventory(head: str | Machine | None = "n1", **changes: object) -> Inventory:
    accelerators = Accelerators(kind="h100-sxm-80gb", count=8)
    whole = Inventory(name="c", head=head, accelerators=accelerators, nodes=NODES)
    return whole.model_copy(update=changes)


def test_the_head_is_no_worker() -> None:
    provider = ray_up_config(inventory(), SOURCES)["provider"]
    assert provider == {"type": "local", "head_ip": "172.26.0.11", "worker_ips": ["172.26.0.12"]}


def test_a_head_of_its_own_has_all_nodes_as_workers() -> None:
    head = Machine(name="head-1", address="172.26.0.10")
    provider = ray_up_config(inventory(head), SOURCES)["provider"]
    assert provider["worker_ips"] == ["172.26.0.11", "172.26.0.12"]


def test_nothing_secret_stands_in_it() -> None:
    login = Ssh(user="ubuntu", key="~/.ssh/1cc")
    config = ray_up_config(inventory(ssh=login), SOURCES)
    assert config["auth"] == {"ssh_user": "ubuntu", "ssh_private_key": "~/.ssh/1cc"}
    assert config["file_mounts"]["~/.flotilla/ray_token"] == "/srv/token"


def test_the_install_is_made_on_each_machine_and_never_copied() -> None:
    mounts = ray_up_config(inventory(), SOURCES)["file_mounts"]
    assert mounts["~/flotilla/cluster"] == "/srv/flotilla/cluster"
    assert "~/flotilla" not in mounts
    assert not any(".venv" in source for source in mounts.values())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (inventory(None), "names no `head`"),
        (
            inventory(nodes=(NODES[0], NODES[1].model_copy(update={"ssh": NodeSsh(user="me")}))),
            "nodes.1.ssh.user: `ray up` knows one user",
        ),
        (inventory(ssh=Ssh(port=2222)), "nodes.0.ssh.port: `ray up` knows port 22 only"),
    ],
)
def test_what_ray_up_has_no_words_for_is_refused(wrong: Inventory, said: str) -> None:
    assert said in str(next(obstacles(wrong)))
    with pytest.raises(ValueError, match=r"ray up|head"):
        ray_up_config(wrong, SOURCES)


def example_text() -> str:
    """The committed example: a 1-Click Cluster of two nodes, its head a management node."""
    nodes = Path(__file__).parents[2] / "deployments/fleets/inventories/lambda-1cc-2-nodes.yaml"
    login = Ssh(user="ubuntu", key="~/.ssh/1cc")
    head = Machine(name="head-1", address="172.26.0.10")
    whole = load_inventory(nodes).model_copy(update={"head": head, "ssh": login})
    paths = Sources("~/flotilla", "~/my-1cc.yaml", "~/.flotilla/ray_token")
    return cluster_text(ray_up_config(whole, paths), "my-1cc.yaml")


def test_the_committed_example_is_what_an_inventory_renders_to() -> None:
    example = Path(__file__).parents[2] / "cluster" / "1cc.yaml"
    assert example.read_text() == example_text()


def test_the_line_that_says_what_failed_is_found_in_what_ray_up_prints() -> None:
    said = (
        "2026-11-27 12:20:13 INFO updater.py:509 -- [7/7] Starting the Ray runtime\n"
        "flotilla: this machine has none of the addresses of c\n"
        "Shared connection to 172.26.0.11 closed.\n"
        "Traceback (most recent call last):\n"
        '  File "updater.py", line 172, in run\n'
        "click.exceptions.ClickException: SSH command failed.\n"
        "!!!\n"
    )
    assert cause(said) == "flotilla: this machine has none of the addresses of c"
    assert cause("") == "it said nothing"
