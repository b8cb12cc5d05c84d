#!/usr/bin/env bash
# Fuzzes every target for SECONDS_EACH (60) from the saved corpus; inputs that reach new code join it. A crash
# fails, and leaves its input in .bench/.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
tools=.bench/fuzz
[ -d "$tools/atheris" ] || .venv/bin/uv pip install --quiet --python "$python" --target "$tools" atheris==3.0.0
for target in http chat completion schema pattern refusal; do
  log=.bench/fuzz-$target.log
  PYTHONPATH=.:$tools "$python" -m tests.fuzz.harness "$target" -max_total_time="${SECONDS_EACH:-60}" \
    -max_len=4096 -timeout=10 -rss_limit_mb=2048 -artifact_prefix=.bench/ "tests/fuzz/corpus/$target" \
    >"$log" 2>&1 || { tail -30 "$log"; exit 1; }
  echo "$target: $(grep -Eo "Done [0-9]+ runs in [0-9]+" "$log") s"
done
