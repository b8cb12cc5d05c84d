"""The replicas, one in a row, with what may be done to each."""

import htpy as h

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


def replicas_panel(views: tuple[ReplicaView, ...], *, can_act: bool) -> Panel:
    rows = {f"replica-{view.name}": _row(view, can_act=can_act) for view in views}
    return table_panel("replicas", "Replicas", COLUMNS, rows)


def _row(view: ReplicaView, *, can_act: bool) -> h.Element:
    return row(
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
        [dialog_button("/log", "log", replica=view.name), _acts(view, can_act=can_act)],
    )


def _acts(view: ReplicaView, *, can_act: bool) -> h.Node:
    if not can_act or not view.replica_id:
        return None
    subject = {"replica": view.name, "replica_id": view.replica_id}
    return [
        " ",
        act_button("restart", "restart", **subject),
        " ",
        act_button("drain", "drain", **subject),
    ]
