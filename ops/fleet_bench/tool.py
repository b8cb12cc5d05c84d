"""`vllm bench serve`, the load tool that comes with vLLM, run once for each point.

It needs no tokenizer here: prompts are words, and lengths are the engine's own counts. The key goes
by the environment, so that no list of processes shows it.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ops.endpoint import Address
from ops.errors import LoadToolFailed
from ops.fleet_bench.load import Load, prompts
from ops.fleet_bench.point import Point, point_of

TOOL_MODULE = "ops.bench.load_tool"
#: A point that takes longer is not one.
POINT_DEADLINE_S = 3600.0
MOST_WARM_UP = 8
SAID_CHARS = 600


@dataclass(frozen=True, slots=True)
class Tool:
    """Where the endpoint is, and what starts the tool."""

    address: Address
    key: str
    command: tuple[str, ...]

    def measure(self, load: Load, clients: int, first: int) -> Point:
        """One point, with prompts from the number `first` on. Raises LoadToolFailed."""
        count = clients * load.rounds
        with tempfile.TemporaryDirectory(prefix="flotilla-bench-") as folder:
            rows = Path(folder) / "prompts.jsonl"
            lines = (json.dumps({"prompt": prompt}) for prompt in prompts(load, first, count))
            rows.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            result = Path(folder) / "result.json"
            self._run([*self.command, *self._arguments(load, clients, rows, result)])
            return _read(result, clients, load.answer_tokens)

    def _arguments(self, load: Load, clients: int, rows: Path, result: Path) -> list[str]:
        length = {"max_completion_tokens": load.answer_tokens, "min_tokens": load.answer_tokens}
        options: dict[str, Any] = {
            "backend": "openai-chat",
            "base-url": self.address.base_url.removesuffix("/v1"),
            "endpoint": "/v1/chat/completions",
            "model": load.model,
            "dataset-name": "custom",
            "dataset-path": rows,
            "num-prompts": clients * load.rounds,
            "max-concurrency": clients,
            "num-warmups": min(clients, MOST_WARM_UP),
            "ready-check-timeout-sec": 0,
            "temperature": 0,
            "extra-body": json.dumps(length),
            "result-dir": result.parent,
            "result-filename": result.name,
        }
        flags = (
            "skip-tokenizer-init",
            "disable-shuffle",
            "disable-tqdm",
            "save-result",
            "save-detailed",
        )
        pairs = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        return [*pairs, *(f"--{flag}" for flag in flags)]

    def _run(self, command: list[str]) -> None:
        try:
            done = subprocess.run(  # noqa: S603 - its own arguments, made above
                command,
                env={**os.environ, "OPENAI_API_KEY": self.key},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=POINT_DEADLINE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LoadToolFailed(f"a point took more than {POINT_DEADLINE_S:.0f} s") from None
        if done.returncode:
            last = done.stdout.strip()[-SAID_CHARS:]
            raise LoadToolFailed(f"`vllm bench serve` ended with {done.returncode}: {last}")


def load_tool(address: Address, key: str) -> Tool:
    """Raises LoadToolFailed where vLLM or what its tool needs is not installed."""
    if find_spec("vllm") is None:
        raise LoadToolFailed(
            "`flotilla bench` drives vLLM's own load tool, which is not installed: "
            "run it where `make install` was run"
        )
    if find_spec("pandas") is None:
        raise LoadToolFailed(
            "vLLM's load tool reads its prompts with pandas: `pip install 'flotilla[bench]'`"
        )
    return Tool(address, key, (sys.executable, "-m", TOOL_MODULE))


def _read(path: Path, clients: int, answer_tokens: int) -> Point:
    try:
        return point_of(clients, answer_tokens, json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoadToolFailed(f"`vllm bench serve` gave no result: {error!r}") from error
