"""Requests that ended, newest first; the sentence under each is its story."""

import htpy as h

from ops.dashboard.html.badge import badge
from ops.dashboard.html.figure import clock, moment, seconds
from ops.dashboard.html.fragment import Panel
from ops.dashboard.html.table import row, table_panel
from ops.dashboard.view.request import RequestView

COLUMNS = ("at (UTC)", "model", "end", "took", "tokens", "key", "story", "id")


def requests_panel(views: tuple[RequestView, ...]) -> Panel:
    rows = {f"request-{view.id}": _row(view) for view in views}
    return table_panel("requests", "Requests that ended last", COLUMNS, rows)


def search_form() -> h.Element:
    """Outside the panel: who types must not be disturbed by news."""
    return h.section(id="search")[
        h.form(role="search", hx_get="/requests", hx_target="#found", hx_trigger="submit")[
            h.input(
                type="search",
                name="text",
                maxlength="200",
                aria_label="Find a request by id, key, model or end",
                placeholder="Find a request: id, key, model, end",
            )
        ],
        h.div(id="found", aria_live="polite"),
    ]


def found(views: tuple[RequestView, ...], searched: int) -> h.Element:
    if not views:
        return h.p(".quiet")[f"None of the last {searched:,} requests says that."]
    return h.div(".scroll")[
        h.p(".quiet")[f"The newest {len(views):,} that match, of the last {searched:,}:"],
        h.table(".striped")[
            h.thead[h.tr[(h.th(scope="col")[each] for each in COLUMNS)]],
            h.tbody[(_row(view, prefix="found") for view in views)],
        ],
    ]


def _row(view: RequestView, prefix: str = "request") -> h.Element:
    return row(
        f"{prefix}-{view.id}",
        h.time(datetime=moment(view.at_s))[clock(view.at_s)],
        view.model_answered or view.model_asked,
        badge(view.health, view.outcome.replace("_", " ")),
        seconds(view.duration_s),
        f"{view.tokens:,}",
        view.key,
        h.small[view.story],
        h.code[view.id],
    )
