"""`flotilla up`, `down` and `render-cluster` of an inventory, where no machine is asked."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from ops.cli import main

HEADLESS = """\
name: c
accelerators: {kind: h100-sxm-80gb, count: 8}
nodes:
  - {name: n1, address: 192.0.2.11}
  - {name: n2, address: 192.0.2.12, ssh: {port: 2222}}
"""
WHOLE = "head: n1\n" + HEADLESS.replace(", ssh: {port: 2222}", "")


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path / "home"))
    return tmp_path / "inventory.yaml"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("command", ["up", "down", "render-cluster"])
def test_what_ray_up_has_no_words_for_is_refused_with_its_lines(
    inventory: Path, command: str
) -> None:
    inventory.write_text(HEADLESS)
    result = run(command, str(inventory))
    assert result.exit_code == 2
    assert f"{inventory}:1: names no `head`, which the workers join" in result.output
    assert f"{inventory}:5: nodes.1.ssh.port: `ray up` knows port 22 only" in result.output


def test_a_head_that_is_also_listed_is_refused_with_the_right_way_to_say_it(
    inventory: Path,
) -> None:
    inventory.write_text("head: {name: n1, address: 192.0.2.11}\n" + HEADLESS)
    result = run("up", str(inventory))
    assert result.exit_code == 2
    assert "a head that is a node of the list is `head: n1`" in result.output


def test_a_fence_needs_addresses_and_says_which_is_none(inventory: Path) -> None:
    inventory.write_text(WHOLE.replace("192.0.2.12", "node-2.internal"))
    result = run("up", str(inventory), "--firewall")
    assert result.exit_code == 2
    assert "node-2.internal" in result.output


def test_options_of_the_other_kind_of_file_are_refused(inventory: Path) -> None:
    inventory.write_text(WHOLE)
    assert (
        "--ray-port is for this machine alone"
        in run("up", str(inventory), "--ray-port", "7000").output
    )
    fleet = inventory.with_name("fleet.yaml")
    fleet.write_text("models: {}\n")
    assert "--firewall is for an inventory" in run("up", str(fleet), "--firewall").output
    assert run("down", "--json").output == '{"stopped": false}\n'


def test_a_cluster_file_is_yaml_and_the_token_is_made_and_not_shown(inventory: Path) -> None:
    inventory.write_text(WHOLE)
    result = run("render-cluster", str(inventory))
    assert result.exit_code == 0
    rendered = yaml.safe_load(result.stdout)
    token = Path(rendered["file_mounts"]["~/.flotilla/ray_token"])
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text().strip() not in result.stdout
    assert rendered["file_mounts"]["~/.flotilla/inventory.yaml"] == str(inventory)


def test_ray_is_not_started_on_a_machine_that_is_not_in_the_inventory(inventory: Path) -> None:
    inventory.write_text(WHOLE)
    result = run("ray", "start", str(inventory))
    assert result.exit_code == 1
    assert "this machine has none of the addresses of c" in result.output
