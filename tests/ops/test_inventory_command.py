"""`flotilla inventory` as its user sees it: a file that loads again, or a line with the fix."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.errors import CloudRefused, CloudUnreachable
from cluster.lambda_cloud import MAX_BODY_BYTES, LambdaCloud
from deployments.inventory_file import load_inventory, parse_inventory
from tests.ops.fake_lambda import KEY, FakeLambda, instance
from tests.ops.test_cli import flotilla

SSH_CONFIG = """\
Host *
  User ubuntu
  IdentityFile "~/.ssh/1cc"
Host head-1
  HostName 172.26.0.10
host node-1 n1   # the first
  hostname=172.26.0.11
  ProxyJump head-1
Host node-2
  HostName = 172.26.0.12
  Port 2222
  ProxyJump ubuntu@head-1:22
"""
IMPORT = ("inventory", "import", "--accelerator", "h100-sxm-80gb", "--ssh-config")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLambda]:
    with FakeLambda().running() as fake:
        monkeypatch.setenv("LAMBDA_API_KEY", KEY)
        monkeypatch.setenv("LAMBDA_API_URL", fake.url)
        yield fake


def test_discover_prints_an_inventory_that_loads_again(cloud: FakeLambda) -> None:
    result = flotilla("inventory", "discover", "c1")
    assert result.exit_code == 0
    made = parse_inventory(result.stdout.encode(), "made.yaml")
    assert [(node.name, node.address) for node in made.nodes] == [
        ("node-1", "172.26.0.11"),
        ("node-2", "172.26.0.12"),
    ]
    held = made.accelerators_of(made.nodes[0])
    assert (held.kind, held.count, made.storage.shared) == (
        "h100-sxm-80gb",
        8,
        "/lambda/nfs/models",
    )
    assert KEY not in result.output


def test_discover_leaves_out_what_is_no_node_and_names_it(cloud: FakeLambda) -> None:
    statuses = ("booting", "unhealthy", "terminated")
    others = [instance(at, status=status) for at, status in enumerate(statuses, start=3)]
    cpu = instance(6, name="cpu", instance_type={"specs": {"gpus": 0}})
    cloud.clusters["c1"] += [*others, cpu, 5, instance(7, name="x\n- y", hostname=None)]
    result = flotilla("inventory", "discover", "c1", "--json")
    said = json.loads(result.stdout)
    assert len(said["inventory"]["nodes"]) == 3
    for number, status in enumerate(statuses, start=3):
        assert f"node-{number} is left out: it is {status}" in said["notes"]
    assert any(note.startswith("cpu at 172.26.0.16 is left out") for note in said["notes"])


@pytest.mark.parametrize(
    ("status", "code", "fix"),
    [
        (401, "global/invalid-api-key", "LAMBDA_API_KEY is not valid"),
        (200, "global/object-does-not-exist", "check CLUSTER_ID"),
        (500, "something/new", "(something/new)"),
    ],
)
def test_a_refusal_is_told_by_its_code(cloud: FakeLambda, status: int, code: str, fix: str) -> None:
    cloud.refuse(status, code)
    result = flotilla("inventory", "discover", "c1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert fix in result.stderr
    assert "words" not in result.stderr


@pytest.mark.parametrize(
    ("status", "kind", "body", "said"),
    [
        (200, "application/json", b"{", "something that is not JSON"),
        (502, "text/html", b"<html>", "answered 502 with HTML"),
        (302, "text/html", b"", "answered 302 with HTML"),
        (200, "application/json", b"[]", "without data or a code"),
        (200, "application/json", b"{}", "without a list"),
        (200, "application/json", b" " * (MAX_BODY_BYTES + 1), "more than 4 MiB"),
        (200, "application/json", b'{"data": []}', "no instance carries its id"),
    ],
)
def test_an_answer_that_cannot_be_used_is_one_line(
    cloud: FakeLambda, status: int, kind: str, body: bytes, said: str
) -> None:
    cloud.answers = [(status, kind, body)]
    result = flotilla("inventory", "discover", "c1")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


def test_too_many_requests_are_asked_again_a_second_apart(cloud: FakeLambda) -> None:
    cloud.refuse(429, "global/quota-exceeded")
    assert flotilla("inventory", "discover", "c1").exit_code == 0
    first, second = cloud.asked
    assert second - first >= 1


async def test_a_quota_that_stays_exceeded_is_an_error(cloud: FakeLambda) -> None:
    for _ in range(3):
        cloud.refuse(429, "global/quota-exceeded")
    with pytest.raises(CloudRefused, match="wait a minute"):
        await LambdaCloud(KEY, cloud.url, pause_s=0.01).instances("c1")


async def test_one_deadline_holds_for_the_whole_answer(cloud: FakeLambda) -> None:
    cloud.delay_s = 0.5
    with pytest.raises(CloudUnreachable, match="no whole answer"):
        await LambdaCloud(KEY, cloud.url, deadline_s=0.05).instances("c1")


@pytest.mark.parametrize(
    ("key", "url", "said"),
    [
        ("", "https://127.0.0.1:1", "LAMBDA_API_KEY is not set"),
        ("a\nb", "https://127.0.0.1:1", "holds blanks"),
        (KEY, "http://cloud.lambda.ai/api/v1", "must begin with https://"),
        (KEY, "http://127.0.0.1:1", "is there a way out"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    monkeypatch: pytest.MonkeyPatch, key: str, url: str, said: str
) -> None:
    monkeypatch.setenv("LAMBDA_API_KEY", key)
    monkeypatch.setenv("LAMBDA_API_URL", url)
    result = flotilla("inventory", "discover", "c1")
    assert result.exit_code == 1
    assert said in result.stderr


def test_tls_that_fails_is_told_as_such(cloud: FakeLambda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDA_API_URL", cloud.url.replace("http:", "https:"))
    result = flotilla("inventory", "discover", "c1")
    assert result.exit_code == 1
    assert "TLS failed" in result.stderr


def test_a_file_is_overwritten_only_when_told_to(cloud: FakeLambda, tmp_path: Path) -> None:
    made = tmp_path / "made.yaml"
    made.write_text("mine")
    refused = flotilla("inventory", "discover", "c1", "--output", made)
    assert (refused.exit_code, made.read_text(), cloud.asked) == (1, "mine", [])
    assert "--force" in refused.stderr
    done = flotilla("inventory", "discover", "c1", "--output", made, "--force")
    assert (done.exit_code, done.stdout) == (0, "")
    assert len(load_inventory(made).nodes) == 2


def test_import_reads_the_config_that_a_cluster_hands_out(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(SSH_CONFIG)
    result = flotilla(*IMPORT, path, "--head", "head-1")
    assert result.exit_code == 0
    made = parse_inventory(result.stdout.encode(), "made.yaml")
    head = made.head_machine()
    assert head is not None
    assert (head.name, head.address) == ("head-1", "172.26.0.10")
    assert [node.name for node in made.workers()] == ["node-1", "node-2"]
    second = made.ssh_of(made.nodes[1])
    assert (second.user, second.key, second.port) == ("ubuntu", "~/.ssh/1cc", 2222)
    assert "ProxyJump is not kept" in result.stderr


def test_a_host_that_others_are_reached_through_is_no_node(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(SSH_CONFIG)
    result = flotilla(*IMPORT, path, "--leave-out", "n1")
    made = parse_inventory(result.stdout.encode(), "made.yaml")
    assert [node.name for node in made.nodes] == ["node-2"]
    assert "head-1 is left out" in result.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("172.26.0.12", "172.26.0.11", "10: nodes.1.address: `172.26.0.11` is the address of"),
        ("2222", "ssh", "11: nodes.1.ssh.port: should be a valid integer"),
        ("~/.ssh/1cc", "~/.ssh/1cc.pub", "3: ssh.key: `~/.ssh/1cc.pub` is the public half"),
        ("172.26.0.11", "fd00::1", "7: nodes.0.address: `fd00::1` is not a name"),
    ],
)
def test_a_wrong_config_ends_with_2_and_its_own_line(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    path = tmp_path / "config"
    path.write_text(SSH_CONFIG.replace(right, wrong))
    result = flotilla(*IMPORT, path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.lower().startswith(f"{path}:{said}".lower())


def test_a_head_that_is_no_host_and_a_config_that_is_not_there_are_told(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(SSH_CONFIG)
    unknown = flotilla(*IMPORT, path, "--head", "head-2")
    assert "`head-2` is no host of it; did you mean `head-1`?" in unknown.stderr
    assert "no such file" in flotilla(*IMPORT, tmp_path / "none").stderr
