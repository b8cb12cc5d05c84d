"""The map: a card for each node, a block for each stage, a letter for each accelerator.

Most cards are as they were a second ago: what was made once is kept, or a map of 1,600 accelerators
would cost a tenth of a second at every look. A block is one element however many letters it has:
what a browser lays out at first is counted in elements.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

import htpy as h
from markupsafe import Markup

from ops.dashboard.html.badge import badge
from ops.dashboard.html.figure import NONE, celsius, gib, share
from ops.dashboard.html.fragment import IN_PLACE, Panel, panel
from ops.dashboard.view.cluster import ClusterView, NodeView, Slot
from ops.dashboard.view.health import Health
from ops.plan_view import FREE

#: Of cards; more than anybody has nodes, and a few megabytes.
KEPT = 4096


def cluster_panel(view: ClusterView) -> Panel:
    def frame(items: Sequence[Markup]) -> h.Element:
        return h.section(IN_PLACE, id="cluster")[
            h.h2["Cluster"],
            h.p(".quiet")[
                f"{len(view.nodes)} nodes, {view.total} accelerators, {view.free} free. A letter "
                "is an accelerator, and the model whose replica holds it; a block is a stage."
            ],
            h.div(".nodes")[items],
            h.p(".legend")[
                (h.span(".key")[h.b[mark], " ", model] for mark, model in view.legend),
                h.span(".key")[h.b[FREE], " free"],
            ],
        ]

    return panel("cluster", frame, {f"node-{node.address}": _node(node) for node in view.nodes})


@lru_cache(KEPT)
def _node(node: NodeView) -> Markup:
    card = h.div(IN_PLACE, id=f"node-{node.address}", class_=_node_class(node))[
        h.div(".name", title=f"{node.address} {node.kind}".strip())[node.name],
        _badge(node),
        h.div(".measured", title=_one_by_one(node))[_measured(node)],
        h.div(".stages")[(_stage(slot, len([*alike])) for slot, alike in groupby(node.slots))],
    ]
    return Markup(str(card))  # noqa: S704 - htpy's own


def _badge(node: NodeView) -> h.Element | None:
    if node.is_alive is False:
        return badge(Health.ILL, "gone")
    return badge(Health.ILL, "suspect") if node.suspicion else None


def _measured(node: NodeView) -> str:
    """Its hottest accelerator, the memory of all, and how busy they are on average."""
    if not node.measured:
        return NONE
    used, total = gib(node.memory_used_bytes, 0), gib(node.memory_total_bytes, 0)
    return f"{celsius(node.hottest_c)} {used}/{total} GiB {share(node.utilisation)}"


def _one_by_one(node: NodeView) -> str | None:
    if not node.measured:
        return None
    return "\n".join(
        f"{each.index}: {celsius(each.temperature_c)}, {gib(each.memory_used_bytes)} of "
        f"{gib(each.memory_total_bytes)} GiB, {share(each.utilisation)}"
        for each in node.measured
    )


def _node_class(node: NodeView) -> str:
    return "node gone" if node.is_alive is False else "node"


def _stage(slot: Slot | None, count: int) -> h.Element:
    """So many accelerators beside each other that the same stage holds, or nobody."""
    if slot is None:
        return h.span(".stage.free", title="free")[FREE * count]
    at = f", stage {slot.stage} of {slot.stages}" if slot.stages > 1 else ""
    said = f"{slot.replica}{at}: {slot.health}"
    return h.span(f".stage.{slot.health}", title=said)[slot.mark * count]
