"""A cluster on hosts as its operator sees it: the `flotilla` command on the head, files in the home
there, and clients from outside.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import yaml

from tests.hosts.host import ROOT, Host

GATEWAY_PORT = 8000
#: A loaded machine of two cores starts engines in minutes.
COMMAND_DEADLINE_S = 900
CLIENT_DEADLINE_S = 60
QUESTION = {"messages": [{"role": "user", "content": "What is a replica?"}], "temperature": 0}
T = TypeVar("T")

FLEET = """\
device: cpu
grace_s: 20
gateway: {host: 0.0.0.0}
models:
  wide:
    source: ./flotilla/deployments/demo/model
    max_model_len: 2048
    pipeline: 2
    stage_placement: spread
    engine:
      dtype: float32
      enforce_eager: true
      kv_cache_memory_bytes: 64M
      max_num_seqs: 8
  small:
    source: ./flotilla/deployments/demo/model
    max_model_len: 2048
    engine:
      dtype: float32
      enforce_eager: true
      kv_cache_memory_bytes: 64M
      max_num_seqs: 8
"""


class Site:
    """The first host is a head without accelerators; the others are nodes."""

    def __init__(self, made: Sequence[Host]) -> None:
        self.head, *self.nodes = made
        self.key = ""

    @property
    def hosts(self) -> list[Host]:
        return [self.head, *self.nodes]

    def clone(self) -> None:
        """What a newcomer does first: Flotilla's tree on the head, installed."""
        left_out = "--exclude=.venv --exclude=.git --exclude='.*_cache' --exclude=.hypothesis"
        self.head.run(f"rsync --archive {left_out} {ROOT}/ ~/flotilla/", timeout_s=120)

    def write(self, name: str, text: str) -> None:
        """A file in the home on the head."""
        self.head.run(f"cat > ~/{name} <<'END'\n{text}END\n")

    def write_inventory(self, nodes: Sequence[Host], **more: dict[str, str]) -> None:
        """`rig.yaml`; `more` are nodes that are no hosts."""
        listed = [{"name": host.node, "address": host.address} for host in nodes]
        listed += [{"name": name, **value} for name, value in more.items()]
        inventory = {
            "name": "rig",
            "head": {"name": self.head.node, "address": self.head.address},
            "ssh": {"user": "ubuntu", "key": "~/.ssh/1cc"},
            "accelerators": {"kind": "cpu", "count": 2, "memory_gib": 2.5},
            "nodes": listed,
        }
        self.write("rig.yaml", yaml.safe_dump(inventory))

    def flotilla(self, arguments: str, *, check: bool = True) -> tuple[int, str, str]:
        """Runs `flotilla ...` on the head; status, stdout, stderr."""
        command = f"cd ~ && ~/flotilla/.venv/bin/flotilla {arguments}"
        done = self.head.run(command, timeout_s=COMMAND_DEADLINE_S, check=check)
        return done.returncode, done.stdout, done.stderr

    def alive(self) -> set[str]:
        """Addresses of the nodes that Ray sees."""
        status, printed, _ = self.flotilla("ray nodes --json", check=False)
        return {n["address"] for n in json.loads(printed) if n["alive"]} if status == 0 else set()

    def status(self) -> dict[str, Any]:
        status, printed, _ = self.flotilla("status --json", check=False)
        return dict(json.loads(printed)) if status == 0 else {"replicas": [], "gateways": []}

    def pids(self) -> dict[str, int]:
        """Of the replicas that are ready."""
        replicas = self.status()["replicas"]
        return {r["application"]: r["pid"] for r in replicas if r["state"] == "ready"}

    def gateways(self) -> list[str]:
        """The node of each."""
        return sorted(gateway["node"] for gateway in self.status()["gateways"])

    def says(self, model: str, host: Host) -> str:
        """A greedy answer through the gateway of a host; raises OSError where there is none."""
        reply = self._post(host, {**QUESTION, "model": model, "max_tokens": 24})
        return str(json.loads(reply)["choices"][0]["message"]["content"])

    def streams(self, model: str, host: Host, tokens: int) -> None:
        """A stream of that many tokens; raises OSError or AssertionError where it is not whole."""
        body = {**QUESTION, "model": model, "max_tokens": tokens, "min_tokens": tokens}
        reply = self._post(host, {**body, "stream": True})
        assert reply.endswith(b"data: [DONE]\n\n"), reply[-300:]

    def _post(self, host: Host, body: dict[str, Any]) -> bytes:
        url = f"http://{host.address}:{GATEWAY_PORT}/v1/chat/completions"
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=CLIENT_DEADLINE_S) as reply:
            return bytes(reply.read())

    def tries(self, model: str, host: Host) -> str | None:
        """An answer, or None while there is none."""
        try:
            return self.says(model, host)
        except urllib.error.HTTPError as refused:
            refused.close()
        except OSError:
            pass
        return None


def wait_for(look: Callable[[], T | None], what: str, deadline_s: float = 180) -> T:
    """Looks until there is something to see; fails with `what` was waited for. A look that runs a
    command takes seconds of a core: what is waited for gets twice as many.
    """
    end_s = time.monotonic() + deadline_s
    while (began_s := time.monotonic()) < end_s:
        found = look()
        if found:
            return found
        time.sleep(max(0.5, 2 * (time.monotonic() - began_s)))
    raise AssertionError(f"waited {deadline_s:.0f} s for {what}")
