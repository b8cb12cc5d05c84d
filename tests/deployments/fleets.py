"""Fleets that tests make: whole ones from few words, and random ones that keep every rule."""

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from deployments.fleet import Fleet
from deployments.load import parse

TWO_NAMES = """
device: cpu
grace_s: 30
models:
  small:
    replicas_of: big
    max_model_len: 2048
    fallback: big
    aliases: [s]
  big:
    source: org/big
    max_model_len: 8192
    replicas: {min: 2, max: 2}
    engine: {kv_cache_memory_bytes: 64M}
"""


def fleet_of(text: str = TWO_NAMES) -> Fleet:
    return parse(text.encode(), "fleet.yaml", Path("/fleets"))


def changed(fleet: Fleet, **models: dict[str, Any]) -> Fleet:
    """The fleet with some fields of some models replaced, checked as a whole again."""
    made = {
        name: {**model.model_dump(), **models.get(name, {})} for name, model in fleet.models.items()
    }
    return Fleet.model_validate({**fleet.model_dump(), "models": made})


def configs(replicas: st.SearchStrategy[dict[str, int]]) -> st.SearchStrategy[dict[str, Any]]:
    """Serve configs, cut down to what `steps` looks at: names and something that can differ."""
    return st.builds(_config, replicas, st.integers(0, 2))


def _config(replicas: dict[str, int], ingress: int) -> dict[str, Any]:
    applications = [{"name": "flotilla", "args": {"version": ingress}}]
    applications += [{"name": name, "args": {"version": at}} for name, at in replicas.items()]
    return {"proxy_location": "Disabled", "applications": applications}
