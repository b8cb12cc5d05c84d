"""References in a caller's schema: only to its own definitions, and none that comes round again."""

from typing import Any

from serving.protocol.check import Json, invalid, record


def check_references(schema: Json, path: str) -> None:
    edges = {
        f"#/{section}/{name}": _targets(inner)
        for section in ("definitions", "$defs")
        for name, inner in record(schema.get(section, {}), f"{path}.{section}").items()
        if "/" not in name  # a pointer to it would lead elsewhere
    }
    rest = {name: value for name, value in schema.items() if name not in ("$defs", "definitions")}
    for targets in (_targets(rest), *edges.values()):
        if not targets <= edges.keys():
            raise invalid(path, "has a $ref that is not to its own $defs")
    if _comes_round(edges):
        raise invalid(path, "has a $ref that leads back to itself")


def _targets(value: Any) -> set[str]:
    """Everything that a value refers to."""
    found: set[str] = set()
    if isinstance(value, list):
        return found.union(*(_targets(inner) for inner in value))
    if isinstance(value, dict):
        found = found.union(*(_targets(inner) for inner in value.values()))
        reference = value.get("$ref")
        if isinstance(reference, str):
            found.add(reference)
    return found


def _comes_round(edges: dict[str, set[str]]) -> bool:
    """Takes away what refers to nothing any more; a circle is what stays. Each edge is looked at
    once: a schema may hold thousands, and the event loop waits.
    """
    open_targets = {name: len(targets) for name, targets in edges.items()}
    referrers: dict[str, list[str]] = {name: [] for name in edges}
    for name, targets in edges.items():
        for target in targets:
            referrers[target].append(name)
    leaves = [name for name, count in open_targets.items() if not count]
    for leaf in leaves:  # grows while it is walked
        for name in referrers[leaf]:
            open_targets[name] -= 1
            if not open_targets[name]:
                leaves.append(name)
    return len(leaves) < len(edges)
