"""Stands in for `vllm bench serve`: takes its arguments, asks the endpoint for every prompt, saves
what it saves. (The real one takes ten seconds to start; it is run in tests/live.)
"""

import argparse
import json
import os
import urllib.request
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("base-url", "endpoint", "model", "dataset-path", "extra-body", "result-dir"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--result-filename", required=True)
    chosen, _ = parser.parse_known_args()
    rows = Path(chosen.dataset_path).read_text().splitlines()
    used = [ask(chosen, json.loads(row)) for row in rows]
    result = {
        "ttfts": [0.001] * len(used),
        "itls": [[0.001]] * len(used),
        "completed": len(used),
        "failed": int(os.environ.get("FAILED", "0")),
        "total_input_tokens": sum(each["prompt_tokens"] for each in used),
        "total_output_tokens": sum(each["completion_tokens"] for each in used),
        "request_throughput": float(os.environ.get("RATE", "10")),
        "output_throughput": float(os.environ.get("RATE", "10")),
    }
    (Path(chosen.result_dir) / chosen.result_filename).write_text(json.dumps(result))


def ask(chosen: argparse.Namespace, row: dict[str, str]) -> dict[str, int]:
    messages = [{"role": "user", "content": row["prompt"]}]
    body = {"model": chosen.model, "messages": messages, **json.loads(chosen.extra_body)}
    request = urllib.request.Request(
        chosen.base_url + chosen.endpoint,
        json.dumps(body).encode(),
        {
            "Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        usage: dict[str, int] = json.loads(reply.read())["usage"]
    return usage


if __name__ == "__main__":
    main()
