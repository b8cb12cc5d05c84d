"""Events and decisions with their reasons, newest first."""

from collections.abc import Sequence

import htpy as h
from markupsafe import Markup

from ops.dashboard.html.figure import clock, moment
from ops.dashboard.html.fragment import IN_PLACE, Panel, panel
from ops.dashboard.view.event import EventView


def events_panel(views: tuple[EventView, ...]) -> Panel:
    def frame(_: Sequence[Markup]) -> h.Element:
        return h.section(IN_PLACE, id="events")[
            h.h2["Events and decisions"],
            h.ol(".events")[(_event(view) for view in views)],
            None if views else h.p(".quiet")["Nothing was written down yet."],
        ]

    return panel("events", frame)


def _event(view: EventView) -> h.Element:
    at = h.time(datetime=moment(view.at_s))[clock(view.at_s)]
    return h.li[at, " ", h.span(".kind")[view.kind], " ", h.b[view.subject], " ", view.text]
