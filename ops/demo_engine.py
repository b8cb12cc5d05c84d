"""One engine of the demo model on this machine's CPU, alone and without Ray: vLLM's own server with
the arguments and the environment that a replica would give it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

import deployments
from deployments.load import load
from deployments.render import replica_spec
from ops.errors import EngineUnmeasurable
from ops.leaving import leave
from serving.replica.arguments import engine_argv
from serving.replica.engine import CPU_ENVIRONMENT, CPU_WORKER
from serving.replica.network import free_port
from serving.replica.spec import ReplicaSpec

LOOPBACK = "127.0.0.1"
FLEET = Path(deployments.__file__).parent / "demo.yaml"
MODEL = "flotilla-demo"
START_DEADLINE_S = 600.0
STOP_S = 30.0
POLL_S = 0.1


def demo_spec() -> ReplicaSpec:
    """The replica of the demo fleet."""
    fleet = load(FLEET)
    return replica_spec(fleet, MODEL, fleet.served()[MODEL], 0)


@contextmanager
def demo_engine() -> Iterator[tuple[str, float]]:
    """Its base URL, and the seconds it took to start; gone when the block is left. Raises
    EngineUnmeasurable.
    """
    port = free_port(LOOPBACK)
    began_s = time.monotonic()
    with TemporaryDirectory(prefix="flotilla-engine-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = _start(port, output.fileno())
        # An engine in a session of its own would outlive this process.
        before = signal.signal(signal.SIGTERM, leave)
        try:
            _wait(process, f"http://{LOOPBACK}:{port}/health", log)
            yield f"http://{LOOPBACK}:{port}/v1", time.monotonic() - began_s
        finally:
            _stop(process)
            signal.signal(signal.SIGTERM, before)


def _start(port: int, output: int) -> "subprocess.Popen[bytes]":
    # Not `vllm serve`, which looks for a package of that name: the CPU build has another.
    main = ["-m", "vllm.entrypoints.openai.api_server"]
    address = ["--host", LOOPBACK, "--port", str(port), "--worker-cls", CPU_WORKER]
    quiet = {"VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(  # noqa: S603 - our own argument list, no shell
        [sys.executable, *main, *engine_argv(demo_spec()), *address],
        env={**os.environ, **CPU_ENVIRONMENT, **quiet, "VLLM_HOST_IP": LOOPBACK},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline_s = time.monotonic() + START_DEADLINE_S
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > deadline_s:
            lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise EngineUnmeasurable(f"the demo engine did not start: {lines[-1][:300]}")
        time.sleep(POLL_S)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1.0) as reply:  # noqa: S310 - our own http address
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """vLLM ends its workers when it is asked to end; what does not is killed."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
