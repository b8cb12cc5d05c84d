"""A real fleet on this machine: real Ray, real vLLM on CPU, driven by the `flotilla` command as a
user would.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import openai

from cluster.local import LocalRay
from cluster.processes import session_members

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "deployments" / "demo" / "model"
FLOTILLA = [sys.executable, "-m", "ops.cli"]
#: A loaded machine of two cores starts an engine in minutes.
COMMAND_DEADLINE_S = 900
WAIT_S = 120.0
#: The end tokens of the demo model, forbidden.
NEVER_ENDS = {"0": -100, "2": -100}
QUESTION = "How do I create an API key?"
#: Of whoever brings the fleet up, for private weights.
HUB_TOKEN = "hf_planted4711planted4711planted4711"

T = TypeVar("T")

ENGINE = (
    "{dtype: float32, enforce_eager: true, kv_cache_memory_bytes: 128M, max_num_seqs: 16, "
    "structured_outputs_config: {backend: xgrammar, disable_any_whitespace: true}}"
)


class LiveFleet:
    """One cluster with its own home and ports; `up` and `deploy` go through the command line."""

    def __init__(self, port: int, ray_port: int) -> None:
        # Ray's sockets lie below it, and their paths may have 107 characters.
        self.home = Path(tempfile.mkdtemp(prefix="flt"))
        self.port = port
        self._ray_port = ray_port
        self.key = ""
        self._clients = contextlib.ExitStack()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: v for name, v in os.environ.items() if not name.startswith("RAY_")}
        ray = LocalRay.started_in(self.home)
        own = {"FLOTILLA_HOME": str(self.home), "HF_TOKEN": HUB_TOKEN}
        return {**inherited, **own, **(ray.environment() if ray else {})}

    def file(self, models: str) -> Path:
        """A fleet file with these models."""
        path = self.home / "fleet.yaml"
        gateway = f"gateway: {{port: {self.port}}}"
        path.write_text(f"device: cpu\ngrace_s: 20\n{gateway}\nmodels:\n{models}")
        return path

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `flotilla ...`."""
        done = subprocess.run(
            [*FLOTILLA, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_DEADLINE_S,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"flotilla {arguments}: {done.returncode}\n{done.stderr[-3000:]}")
        return done

    def up(self, models: str) -> str:
        """Brings everything up; answers with what the command printed."""
        printed = self.run("up", str(self.file(models)), "--ray-port", str(self._ray_port)).stdout
        self.key = (self.home / "client_key").read_text()
        return printed

    def deploy(self, models: str) -> None:
        self.run("deploy", str(self.file(models)))

    def down(self) -> list[int]:
        """Takes everything down; answers with the processes that are left."""
        self._clients.close()
        ray = LocalRay.started_in(self.home)
        session = json.loads((self.home / "cluster.json").read_text())["session"] if ray else -1
        self.run("down")
        left = session_members(session)
        shutil.rmtree(self.home)
        return left

    def client(self) -> openai.OpenAI:
        """The official client, refusing every reply that is not shaped as OpenAI says.

        It is closed with the fleet at the latest: its idle connections are closed nowhere else.
        """
        return self._clients.enter_context(
            openai.OpenAI(
                api_key=self.key,
                base_url=self.base_url,
                max_retries=0,
                timeout=120,
                _strict_response_validation=True,
            )
        )

    def says(self, model: str, question: str = QUESTION) -> str:
        """The greedy answer of a model."""
        with self.client() as client:
            done = client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": question}],
                temperature=0,
                max_tokens=48,
            )
        return done.choices[0].message.content or ""

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.run("status", "--json").stdout))

    def replica(self, application: str) -> dict[str, Any]:
        """The Controller's record of a replica, waiting until there is a ready one."""
        return wait_for(lambda: self._ready(application), f"{application} to be ready")

    def _ready(self, application: str) -> dict[str, Any] | None:
        found = [r for r in self.replicas() if r["application"] == application]
        return found[0] if found and found[0]["state"] == "ready" else None

    def replicas(self) -> list[dict[str, Any]]:
        return list(self.status()["replicas"])

    def engine(self, address: str, figure: str) -> float:
        """What the engine at an address says in its metrics, over all labels."""
        token = (self.home / "internal_token").read_text()
        request = urllib.request.Request(
            f"http://{address}/metrics", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        wanted = [line for line in lines if line.startswith(f"vllm:{figure}{{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in wanted)

    def ray_state(self, what: str) -> list[dict[str, Any]]:
        """What Ray lists of a kind, those that have ended too."""
        body = self.dashboard(f"/api/v0/{what}?limit=10000&detail=true")
        return list(body["data"]["result"]["result"])

    def dashboard(self, path: str) -> Any:
        """What Ray's dashboard answers."""
        request = urllib.request.Request(
            self.environment["RAY_DASHBOARD_ADDRESS"] + path,
            headers={"Authorization": f"Bearer {(self.home / 'ray_token').read_text().strip()}"},
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)


def wait_for(look: Callable[[], T | None], what: str, deadline_s: float = WAIT_S) -> T:
    """Looks until there is something to see; fails with `what` was waited for. A look that runs a
    command takes seconds of a core: what is waited for gets twice as many.
    """
    end_s = time.monotonic() + deadline_s
    while (began_s := time.monotonic()) < end_s:
        found = look()
        if found is not None:
            return found
        time.sleep(max(0.1, 2 * (time.monotonic() - began_s)))
    raise AssertionError(f"waited {deadline_s:.0f} s for {what}")
