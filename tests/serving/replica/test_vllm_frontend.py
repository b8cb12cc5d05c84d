"""vLLM's own frontend tells the tally of every request, however it ends. In a process of its own:
the import is slow and loud.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
#: Seconds; vLLM's import takes twenty on two busy cores.
VLLM_DEADLINE_S = 110


def test_finished_and_aborted_requests_are_counted_alike() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.serving.replica.vllm_frontend"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=VLLM_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    told = [(int(c["request_id"], 16), c["prompt_tokens"], c["completion_tokens"]) for c in counts]
    assert told == [(0, 4, 3), (1, 4, 3), (2, 4, 0)]
