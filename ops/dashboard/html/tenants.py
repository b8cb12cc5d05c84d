"""Tenants and keys, with this month's usage."""

from collections.abc import Iterator

import htpy as h

from ops.dashboard.html.badge import badge
from ops.dashboard.html.button import act_button
from ops.dashboard.html.figure import NONE
from ops.dashboard.html.fragment import Panel
from ops.dashboard.html.table import row, table_panel
from ops.dashboard.view.health import Health
from ops.dashboard.view.tenant import KeyView, TenantView
from serving import money

COLUMNS = (
    "tenant or key",
    "id",
    "state",
    "limits",
    "models",
    "requests",
    "tokens",
    "spent",
    "refused/min",
    "",
)


def tenants_panel(views: tuple[TenantView, ...]) -> Panel:
    rows = {name: item for view in views for name, item in _rows(view)}
    aside = h.p[
        act_button("create-key", "make a key"),
        " Usage is this month's, UTC; money in the currency of the prices.",
    ]
    return table_panel("tenants", "Tenants and keys", COLUMNS, rows, aside)


def _rows(view: TenantView) -> Iterator[tuple[str, h.Element]]:
    name = f"tenant-{view.name}"
    said = f"{view.priority}, weight {view.weight}"
    limits = ", ".join(view.limits)
    yield name, row(name, h.b[view.name], said, "", limits, "", *_figures(view), None)
    for key in view.keys:
        yield f"key-{key.id}", _key(key)


def _key(key: KeyView) -> h.Element:
    revoke = act_button("revoke-key", "revoke", key_id=key.id, name=key.name)
    return row(
        f"key-{key.id}",
        h.span(".inner")[key.name],
        h.code[key.id],
        badge(Health.WELL if key.is_valid else Health.BUSY, key.state),
        ", ".join(key.limits),
        ", ".join(key.models) or "all",
        *_figures(key),
        revoke if key.is_valid else None,
    )


def _figures(view: KeyView | TenantView) -> tuple[h.Node, ...]:
    """What was used this month, and how often a limit refused just now."""
    refused = badge(Health.BUSY, f"{view.refused:,}") if view.refused else "0"
    spent = money.shown(view.cost_nanos) if view.cost_nanos else NONE
    return f"{view.requests:,}", f"{view.tokens:,}", spent, refused
