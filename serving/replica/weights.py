"""Where a node has the weights of a replica. Looks at disks; downloads nothing.

Rules
1. A path is a path: it is the same on every node, and nobody looks anywhere else.
2. A Hugging Face id is looked for under the roots in their order, the node's own disk before the
   one that nodes share, then in the hub's own cache. Each stage looks on its own node: engines hand
   each other no paths.
3. Where an inventory names roots and nothing is found, the replica does not start, and says where
   it looked. Without roots vLLM has the last word, as on a laptop; it is kept from the network
   either way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from os import environ
from pathlib import Path

from serving.replica.errors import WeightsMissing
from serving.replica.spec import ReplicaSpec


def located(spec: ReplicaSpec, node: str) -> ReplicaSpec:
    """The spec with the path that this node has the weights under. Raises WeightsMissing."""
    if not spec.roots or spec.source.startswith("/"):
        return spec
    found = checkpoint(spec.source, spec.roots)
    if found is not None:
        return replace(spec, source=str(found))
    if checkpoint(spec.source, [hub_cache()]) is not None:
        return spec
    looked = ", ".join([*spec.roots, hub_cache()])
    raise WeightsMissing(
        f"{node} has no weights of {spec.source} (looked in {looked}): `flotilla models pull` "
        "brings them to the shared root, `flotilla models stage` to the nodes"
    )


def checkpoint(source: str, roots: Sequence[str]) -> Path | None:
    """The first folder that has a config.json of this model."""
    return next((at for at in _folders(source, roots) if _has_config(at)), None)


def hub_cache() -> str:
    """Where Hugging Face's own tools put what they download."""
    home = environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    return environ.get("HF_HUB_CACHE") or str(Path(home) / "hub")


def _folders(source: str, roots: Sequence[str]) -> Iterator[Path]:
    if source.startswith("/"):
        yield Path(source)
        return
    for root in roots:
        yield Path(root) / source
        yield from _snapshot(Path(root) / f"models--{source.replace('/', '--')}")


def _snapshot(repository: Path) -> Iterator[Path]:
    """The commit that `main` is in the hub's own layout, which is what vLLM loads."""
    try:
        commit = (repository / "refs" / "main").read_text().strip()
    except (OSError, ValueError):
        return
    yield repository / "snapshots" / commit


def _has_config(folder: Path) -> bool:
    try:
        return (folder / "config.json").is_file()
    except OSError:
        return False  # a folder that may not be entered, or a name that cannot be one
