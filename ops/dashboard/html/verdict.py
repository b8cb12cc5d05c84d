"""The first thing that is read."""

from collections.abc import Sequence

import htpy as h
from markupsafe import Markup

from ops.dashboard.html.badge import SIGNS
from ops.dashboard.html.figure import clock
from ops.dashboard.html.fragment import IN_PLACE, Panel, panel
from ops.dashboard.view.verdict import Verdict


def verdict_panel(view: Verdict) -> Panel:
    def frame(_: Sequence[Markup]) -> h.Element:
        return h.section(IN_PLACE, id="verdict", class_=str(view.health), role="status")[
            h.p(".headline")[h.span(aria_hidden="true")[SIGNS[view.health]], " ", view.headline],
            h.ul[(h.li[reason] for reason in view.reasons)] if view.reasons else None,
        ]

    return panel("verdict", frame)


def clock_panel(at_s: float) -> Panel:
    return panel("clock", lambda _: h.span(IN_PLACE, id="clock")[f"{clock(at_s)} UTC"])
