#!/usr/bin/env bash
# Renews ops/locks/*.txt: from pyproject.toml, for CPU and for GPU machines, and what tests need beside it.
set -euo pipefail
cd "$(dirname "$0")/../.."
export UV_FIND_LINKS=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}
lock() {
  .venv/bin/python -m uv pip compile --quiet --upgrade --no-header --python-version 3.11 pyproject.toml --group dev "$@"
}
# torchvision, torchaudio and torchcodec come as CUDA builds from PyPI and break transformers beside a CPU torch.
lock --extra cpu --overrides ops/locks/cpu-overrides.txt --output-file ops/locks/cpu.txt
# Wheels kept on disk are CPU builds, and resolvers put `+cpu` above the plain version.
UV_FIND_LINKS='' lock --extra gpu --output-file ops/locks/gpu.txt
# Clients that others wrote, for tests, in an environment of their own.
.venv/bin/python -m uv pip compile --quiet --upgrade --no-header --python-version 3.11 tests/conformance/clients.in --output-file ops/locks/clients.txt
