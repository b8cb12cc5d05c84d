#!/usr/bin/env bash
# Fuzzes every target for SECONDS_EACH (60) from the saved corpus; of what is found new, the inputs that reach
# code which the corpus does not reach join it. A crash fails, and leaves its input in .bench/.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
tools=.bench/fuzz
[ -d "$tools/atheris" ] || .venv/bin/uv pip install --quiet --python "$python" --target "$tools" atheris==3.0.0
export PYTHONPATH=.:$tools
fuzz() { # TARGET OPTION...
  "$python" -m tests.fuzz.harness "$@" >".bench/fuzz-$1.log" 2>&1 || { tail -30 ".bench/fuzz-$1.log"; exit 1; }
}
for target in http chat completion schema pattern refusal; do
  saved=tests/fuzz/corpus/$target new=.bench/found/$target
  mkdir -p "$new"
  fuzz "$target" -max_total_time="${SECONDS_EACH:-60}" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix=.bench/ "$new" "$saved"
  echo "$target: $(grep -Eo "Done [0-9]+ runs in [0-9]+" ".bench/fuzz-$target.log") s"
  fuzz "$target" -merge=1 "$saved" "$new"
done
