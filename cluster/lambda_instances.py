"""What Lambda's Cloud API says of a cluster's instances, as an inventory. Pure.

Rules
1. Only active instances with accelerators of a kind we know become nodes; the others are left out
   by name and reason.
2. The kind is read from the type's description, `H100 (80 GB SXM5)`: model and memory both, and
   the form where a model comes in two; never from the name that somebody gave the instance.
3. Any JSON is taken; what is missing or of another shape is a reason to leave an instance out.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.accelerator import KNOWN_MEMORY_GIB
from cluster.draft import Draft
from cluster.errors import CloudUnreachable
from cluster.inventory import LABEL_VALUE, MAX_ACCELERATORS

ACTIVE = "active"
MAX_SHOWN_CHARS = 60
HEAD_NOTE = "no head yet: write `head: NAME` for a node of the list, or `head: {name, address}`"


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    address: str
    kind: str
    count: int
    mounts: frozenset[str]


def draft_of_instances(name: str, instances: Sequence[Any]) -> Draft:
    """The inventory of a cluster. Raises CloudUnreachable when no instance can be a node."""
    found: list[_Found] = []
    notes: list[str] = []
    for instance in instances:
        read = _read(instance if isinstance(instance, Mapping) else {})
        if isinstance(read, str):
            notes.append(read)
        else:
            found.append(read)
    if not found:
        reason = "; ".join(notes) or "no instance carries its id: try `flotilla inventory import`"
        raise CloudUnreachable(f"no node in cluster {_shown(name)}: {reason}")
    return Draft(_value(name, found), {}, (*notes, *_storage_notes(found), HEAD_NOTE))


def _value(name: str, found: Sequence[_Found]) -> dict[str, Any]:
    """What most have stands once; the others say what they have."""
    common = Counter((each.kind, each.count) for each in found).most_common(1)[0][0]
    shared = _shared(found)
    return {
        "name": name,
        "accelerators": _accelerators(*common),
        **({"storage": {"shared": shared[0]}} if shared else {}),
        "nodes": [_node(each, common) for each in found],
    }


def _node(found: _Found, common: tuple[str, int]) -> dict[str, Any]:
    own = (found.kind, found.count)
    node: dict[str, Any] = {"name": found.name, "address": found.address}
    return node if own == common else {**node, "accelerators": _accelerators(*own)}


def _accelerators(kind: str, count: int) -> dict[str, Any]:
    return {"kind": kind, "count": count}


def _read(instance: Mapping[str, Any]) -> _Found | str:
    """What it is, or why it is no node."""
    name, status = _name(instance), instance.get("status")
    if status != ACTIVE:
        return f"{name} is left out: it is {_shown(status)}"
    address = instance.get("private_ip")
    if not isinstance(address, str) or not re.fullmatch(LABEL_VALUE, address):
        return f"{name} is left out: it has no private address"
    kind_of = _mapping(instance.get("instance_type"))
    count = _mapping(kind_of.get("specs")).get("gpus")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        return f"{name} at {address} is left out: it has no accelerators; it can be the head"
    kind = _kind(kind_of)
    if kind is None or count > MAX_ACCELERATORS:
        shown = _shown(kind_of.get("gpu_description") or kind_of.get("description"))
        return f"{name} is left out: {count} x {shown} is of no kind that is known here"
    return _Found(name, address, kind, count, _mounts(instance))


def _name(instance: Mapping[str, Any]) -> str:
    """The first of its names that can be one here."""
    for key in ("name", "hostname", "id"):
        name = instance.get(key)
        if isinstance(name, str) and re.fullmatch(LABEL_VALUE, name):
            return name
    return "an instance without a usable name"


def _kind(instance_type: Mapping[str, Any]) -> str | None:
    """Rule 2; None unless exactly one kind fits."""
    texts = (instance_type.get(key) for key in ("gpu_description", "description"))
    text = next((text for text in texts if isinstance(text, str) and text), "").lower()
    memory = re.search(r"\b(\d+) ?gb\b", text)
    if memory is None:
        return None
    words = {re.sub(r"^sxm\d+$", "sxm", word) for word in re.findall(r"[a-z0-9]+", text)}
    fitting = [kind for kind in KNOWN_MEMORY_GIB if _fits(kind, words, f"{memory[1]}gb")]
    return fitting[0] if len(fitting) == 1 else None


def _fits(kind: str, words: set[str], memory: str) -> bool:
    model, *form, size = kind.split("-")
    return model in words and size == memory and words.issuperset(form)


def _mounts(instance: Mapping[str, Any]) -> frozenset[str]:
    listed = instance.get("file_system_mounts")
    mounts = listed if isinstance(listed, list) else []
    points = (_mapping(each).get("mount_point") for each in mounts)
    return frozenset(point for point in points if isinstance(point, str) and point[:1] == "/")


def _shared(found: Sequence[_Found]) -> list[str]:
    """The directories that all nodes mount."""
    return sorted(frozenset.intersection(*(each.mounts for each in found)))


def _storage_notes(found: Sequence[_Found]) -> Iterator[str]:
    shared = _shared(found)
    if not shared:
        yield "no file system is mounted on every node: `storage` is yours to fill in"
    elif len(shared) > 1:
        others = ", ".join(_shown(point) for point in shared[1:])
        yield f"storage.shared is the first of several that every node mounts; also {others}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _shown(text: Any) -> str:
    """Foreign text, fit for one line of a terminal or a comment."""
    shown = "".join(c if c.isprintable() else "?" for c in str(text))
    return shown[:MAX_SHOWN_CHARS]
