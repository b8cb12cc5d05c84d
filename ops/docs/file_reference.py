"""Tables of what an operator may write in a file, made from the classes that check it: field, type,
default, bounds, meaning. A field without a meaning raises, so that none goes out undescribed.
"""

import json
from collections.abc import Iterator, Sequence

from cluster.accelerator import KNOWN_MEMORY_GIB
from cluster.inventory import Accelerators, Inventory, Machine, Node, Storage
from cluster.login import NodeSsh, Ssh
from cluster.strict import Strict
from deployments.fleet import Dashboard, Fleet, Gateway, Tls
from deployments.model import Replicas, Scaling, Served, Shared, Unavailable
from deployments.price import Price
from ops.docs.comment import meanings
from ops.docs.table import table
from ops.docs.wording import Json, bounds, kind
from ops.errors import OpsError

#: By the name that a page asks with.
PARTS: dict[str, type[Strict]] = {
    part.__name__: part
    for part in (
        *(Fleet, Gateway, Tls, Dashboard),
        *(Served, Shared, Unavailable, Replicas, Scaling, Price),
        *(Inventory, Node, Machine, Accelerators, Storage, Ssh, NodeSsh),
    )
}
_HEAD = ("field", "what it is", "default", "bounds", "meaning")


class FieldUndescribed(OpsError):
    """A field has no `#:` comment above it."""


def field_table(part: type[Strict]) -> str:
    """The fields of one part of a file. Raises FieldUndescribed."""
    return table(_HEAD, _rows(part))


def _rows(part: type[Strict]) -> Iterator[Sequence[str]]:
    schema = part.model_json_schema()
    said = meanings(part)
    for name, field in schema["properties"].items():
        if name not in said:
            raise FieldUndescribed(f"{part.__name__}.{name} has no `#:` comment")
        default = "*needed*" if name in schema.get("required", ()) else _default(field)
        yield f"`{name}`", kind(field), default, bounds(field), said[name]


def _default(field: Json) -> str:
    """Nothing where leaving a part out means its own defaults."""
    value = field.get("default")
    return "" if value is None or value in ([], {}) or "$ref" in field else f"`{_shown(value)}`"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def accelerator_table() -> str:
    """The kinds whose memory is known."""
    rows = ((f"`{name}`", f"{gib:g}") for name, gib in KNOWN_MEMORY_GIB.items())
    return table(("kind", "GiB that an engine finds"), rows)
