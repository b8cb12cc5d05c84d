"""An inventory file becomes an Inventory, or a list of all that is wrong with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from cluster.inventory import Accelerators, Inventory, Node, Storage, problems
from cluster.problem import Problem
from cluster.strict import Strict
from deployments.errors import InventoryInvalid
from deployments.schema import Schemas, schema_problems
from deployments.yaml_text import Document, read, read_file

Part = TypeVar("Part", bound=Strict)
SCHEMAS: Schemas = {"": Inventory, "accelerators": Accelerators, "storage": Storage, "nodes": Node}


def load_inventory(path: Path) -> Inventory:
    """Reads an inventory file. Raises InventoryInvalid."""
    return _inventory(read_file(path))


def parse_inventory(raw: bytes, file: str) -> Inventory:
    """Reads an inventory. Raises InventoryInvalid."""
    return _inventory(read(raw, file))


def _inventory(document: Document) -> Inventory:
    if document.problems:
        raise InventoryInvalid(document.problems)
    if not isinstance(document.value, dict):
        where = f"{document.file}:1"
        raise InventoryInvalid([Problem((), "is not an inventory: it lists `nodes:`", where)])
    try:
        inventory = Inventory.model_validate(document.value)
    except ValidationError as error:
        found = [*schema_problems(error, SCHEMAS), *_between(document.value)]
        raise InventoryInvalid(document.placed(found)) from None
    found = inventory.problems()
    if found:
        raise InventoryInvalid(document.placed(found))
    return inventory


def _between(value: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong between those parts that are right by themselves."""
    nodes = value.get("nodes")
    common = _sound(Accelerators, value.get("accelerators"))
    if isinstance(nodes, list) and (common is not None or "accelerators" not in value):
        yield from problems(common, [_sound(Node, node) for node in nodes])


def _sound(kind: type[Part], value: Any) -> Part | None:
    try:
        return kind.model_validate(value)
    except ValidationError:
        return None
