"""A table in a section of its own, which scrolls sideways on a narrow screen."""

from collections.abc import Mapping, Sequence

import htpy as h
from markupsafe import Markup

from ops.dashboard.html.fragment import IN_PLACE, Panel, panel


def table_panel(
    id_: str,
    title: str,
    columns: Sequence[str],
    rows: Mapping[str, h.Renderable | Markup],
    aside: h.Node = None,
) -> Panel:
    """`rows` are `tr` elements by their ids; `aside` stands between title and table."""

    def frame(items: Sequence[Markup]) -> h.Element:
        return h.section(IN_PLACE, id=id_)[
            h.h2[title],
            aside,
            h.div(".scroll", tabindex="0", role="region", aria_label=title)[
                h.table(".striped")[
                    h.thead[h.tr[(h.th(scope="col")[each] for each in columns)]],
                    h.tbody[items],
                ]
            ],
        ]

    return panel(id_, frame, rows)


def row(id_: str, *cells: h.Node) -> h.Element:
    return h.tr(IN_PLACE, id=id_)[(h.td[cell] for cell in cells)]
