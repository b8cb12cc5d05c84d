"""Requests in flight, the oldest first."""

import htpy as h

from ops.dashboard.html.badge import badge
from ops.dashboard.html.figure import NONE, seconds
from ops.dashboard.html.fragment import Panel
from ops.dashboard.html.table import row, table_panel
from ops.dashboard.view.in_flight import InFlightRow, InFlightView

COLUMNS = ("for", "model", "at", "replica", "tokens", "tries", "tenant", "key", "id")


def in_flight_panel(view: InFlightView) -> Panel:
    rows = {f"in-flight-{each.id}": _row(each) for each in view.rows}
    aside = h.p(".quiet")["; ".join(_said(view))]
    return table_panel("in-flight", "Requests in flight", COLUMNS, rows, aside)


def _said(view: InFlightView) -> list[str]:
    """How many there are, and what of it is not known."""
    shown = len(view.rows)
    told = f"{view.total:,} of all gateways" if view.total else "none"
    said = [told if shown == view.total else f"the {shown} oldest of {view.total:,}"]
    if view.silent:
        said.append(f"without those of {', '.join(view.silent)}, which did not answer in time")
    return said


def _row(each: InFlightRow) -> h.Element:
    return row(
        f"in-flight-{each.id}",
        seconds(each.age_s),
        _models(each),
        badge(each.health, each.phase),
        each.replica or NONE,
        NONE if each.tokens is None else f"{each.tokens:,}",
        str(each.attempts),
        each.tenant,
        each.key,
        h.code[each.id],
    )


def _models(each: InFlightRow) -> str:
    if each.model_answers == each.model_asked:
        return each.model_asked
    return f"{each.model_asked}, answered by {each.model_answers}"
