"""Whether a file that an operator names is a fleet or an inventory."""

from pathlib import Path

from deployments.yaml_text import read_file


def is_inventory(path: Path) -> bool:
    """By what only an inventory has at its top; a file that cannot be read is found out later."""
    value = read_file(path).value
    return isinstance(value, dict) and "nodes" in value and "models" not in value
