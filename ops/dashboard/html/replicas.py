"""The replicas, one in a row, with what may be done to each."""

from functools import lru_cache

import htpy as h
from markupsafe import Markup

from ops.dashboard.html.badge import badge
from ops.dashboard.html.button import act_button, dialog_button
from ops.dashboard.html.figure import rate, share
from ops.dashboard.html.fragment import Panel
from ops.dashboard.html.table import row, table_panel
from ops.dashboard.view.replica import ReplicaView

COLUMNS = (
    "replica",
    "state",
    "stages on",
    "in flight",
    "running",
    "waiting",
    "KV cache",
    "token/s",
    "what is wrong",
    "",
)

#: More than anybody has replicas.
KEPT = 4096


def replicas_panel(views: tuple[ReplicaView, ...], *, can_act: bool) -> Panel:
    rows = {f"replica-{view.name}": _row(view, can_act=can_act) for view in views}
    return table_panel("replicas", "Replicas", COLUMNS, rows)


@lru_cache(KEPT)
def _row(view: ReplicaView, *, can_act: bool) -> Markup:
    """Kept as long as the replica is as it was."""
    made = row(
        f"replica-{view.name}",
        h.b(title=f"{view.replica_id} ({view.shape})")[view.name],
        badge(view.health, view.state),
        " ".join(view.stages),
        str(view.in_flight),
        str(view.load.running),
        str(view.load.waiting),
        share(view.load.kv_use),
        rate(view.load.tokens_per_s),
        view.why,
        _buttons(view.name, view.replica_id if can_act else ""),
    )
    return Markup(str(made))  # noqa: S704 - htpy's own


@lru_cache(KEPT)
def _buttons(name: str, replica_id: str) -> Markup:
    """Half the cost of a row, and the same as long as the replica lives."""
    buttons = [dialog_button("/log", "log", replica=name), _acts(name, replica_id)]
    return Markup(str(h.fragment[buttons]))  # noqa: S704 - htpy's own


def _acts(name: str, replica_id: str) -> h.Node:
    if not replica_id:
        return None
    subject = {"replica": name, "replica_id": replica_id}
    return [
        " ",
        act_button("restart", "restart", **subject),
        " ",
        act_button("drain", "drain", **subject),
    ]
