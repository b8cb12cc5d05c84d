#!/usr/bin/env bash
# Fuzzes every target for SECONDS_EACH (60), from the saved corpus; what is found new is kept in it, a
# crash fails and leaves its input in .bench/.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
tools=.bench/fuzz
[ -d "$tools/atheris" ] || .venv/bin/uv pip install --quiet --python "$python" --target "$tools" atheris==3.0.0
for target in http chat completion schema pattern stream refusal; do
  echo "$target"
  PYTHONPATH=".:$tools" "$python" -m tests.fuzz.harness "$target" -max_total_time="${SECONDS_EACH:-60}" \
    -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=.bench/ \
    "tests/fuzz/corpus/$target" 2>&1 | grep -E "^(==|SUMMARY|stat::number|Test unit|AssertionError| *=== )" || true
  [ "${PIPESTATUS[0]}" = 0 ]
done
