"""An Inventory as the file that an operator goes on to edit. Pure; it reads back as the same."""

from collections.abc import Iterable

import yaml

from cluster.inventory import Inventory

#: Each node stays on its line.
NO_WRAP = 1 << 20


def inventory_text(inventory: Inventory, comments: Iterable[str]) -> str:
    """YAML that begins with the comments, each of one line."""
    said = inventory.model_dump(mode="json", exclude_unset=True)
    body = yaml.safe_dump(said, sort_keys=False, default_flow_style=None, width=NO_WRAP)
    return "".join(f"# {_one_line(comment)}\n" for comment in comments) + body


def _one_line(comment: str) -> str:
    """Nothing of it may end the comment and become YAML."""
    return "".join(c if c.isprintable() else "?" for c in comment)
