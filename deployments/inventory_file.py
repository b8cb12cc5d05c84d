"""An inventory file becomes an Inventory, or a list of all that is wrong with it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cluster.draft import Draft
from cluster.inventory import (
    LISTED,
    MACHINE,
    Accelerators,
    Inventory,
    Machine,
    Node,
    Storage,
)
from cluster.inventory_rules import accelerator_problems, machine_problems, problems
from cluster.login import Ssh
from cluster.problem import Problem
from cluster.strict import Strict
from deployments.errors import InventoryInvalid
from deployments.schema import Schemas, schema_problems
from deployments.yaml_text import Document, read, read_file

Part = TypeVar("Part", bound=Strict)
SCHEMAS: Schemas = {
    "": Inventory,
    "accelerators": Accelerators,
    "storage": Storage,
    "nodes": Node,
    "ssh": Ssh,
    MACHINE: Machine,
}


def load_inventory(path: Path) -> Inventory:
    """Reads an inventory file. Raises InventoryInvalid."""
    return _inventory(read_file(path))


def parse_inventory(raw: bytes, file: str) -> Inventory:
    """Reads an inventory. Raises InventoryInvalid."""
    return _inventory(read(raw, file))


def drafted(draft: Draft, source: str) -> Inventory:
    """The inventory that was found elsewhere, held to the same rules; problems carry the lines of
    the source. Raises InventoryInvalid.
    """
    return _inventory(Document(source, draft.value, dict(draft.lines)))


def _inventory(document: Document) -> Inventory:
    if document.problems:
        raise InventoryInvalid(document.problems)
    if not isinstance(document.value, dict):
        where = f"{document.file}:1"
        raise InventoryInvalid([Problem((), "is not an inventory: it lists `nodes:`", where)])
    try:
        inventory = Inventory.model_validate(document.value)
    except ValidationError as error:
        found = [*_shape(error), *_between(document.value)]
        raise InventoryInvalid(document.placed(found)) from None
    found = list(problems(inventory))
    if found:
        raise InventoryInvalid(document.placed(found))
    return inventory


def _shape(error: ValidationError) -> Iterator[Problem]:
    for problem in schema_problems(error, SCHEMAS, _own_words):
        path = tuple(part for part in problem.path if part not in (LISTED, MACHINE))
        yield replace(problem, path=path)


def _own_words(details: ErrorDetails) -> str | None:
    if details["type"] == "extra_forbidden" and details["loc"][-2:] == ("ssh", "key"):
        return "is the same for all nodes: it stands under the inventory's own `ssh`"
    return None


def _between(value: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong between those parts that are right by themselves."""
    if not isinstance(value.get("nodes"), list):
        return
    nodes = [_sound(Node, node) for node in value["nodes"]]
    head = value.get("head")
    yield from machine_problems(head if isinstance(head, str) else _sound(Machine, head), nodes)
    common = _sound(Accelerators, value.get("accelerators"))
    if common is not None or "accelerators" not in value:
        yield from accelerator_problems(common, nodes)


def _sound(kind: type[Part], value: Any) -> Part | None:
    try:
        return kind.model_validate(value)
    except ValidationError:
        return None
