"""The page: its shell, and its panels in the order in which they are read."""

import json
from collections.abc import Mapping

import htpy as h
from markupsafe import Markup

from ops.dashboard.door import Visitor
from ops.dashboard.html.cluster import cluster_panel
from ops.dashboard.html.events import events_panel
from ops.dashboard.html.fragment import Panel
from ops.dashboard.html.in_flight import in_flight_panel
from ops.dashboard.html.models import models_panel
from ops.dashboard.html.replicas import replicas_panel
from ops.dashboard.html.requests import requests_panel, search_form
from ops.dashboard.html.tenants import tenants_panel
from ops.dashboard.html.verdict import clock_panel, verdict_panel
from ops.dashboard.view.page import Page

SCRIPTS = ("htmx.min.js", "htmx-sse.min.js", "idiomorph-ext.min.js", "dashboard.js")
STYLES = ("pico.min.css", "dashboard.css")
#: No code from text, no styles of its own: the page's content policy would refuse both.
HTMX = {
    "allowEval": False,
    "allowNestedOobSwaps": False,
    "includeIndicatorStyles": False,
    "selfRequestsOnly": True,
    "historyEnabled": False,
}
SECTIONS = ("cluster", "models", "replicas", "in-flight", "requests", "tenants", "events")


def panels(page: Page) -> dict[str, Panel]:
    """By id, in their order."""
    every = (
        clock_panel(page.at_s),
        verdict_panel(page.verdict),
        cluster_panel(page.cluster),
        models_panel(page.models, can_scale=page.is_kept),
        replicas_panel(page.replicas, can_act=page.is_kept),
        in_flight_panel(page.in_flight),
        requests_panel(page.requests),
        tenants_panel(page.tenants),
        events_panel(page.events),
    )
    return {each.id: each for each in every}


def overview(shown: Mapping[str, Panel], ticket: str, visitor: Visitor | None) -> h.Element:
    """The page that tells itself what is new, with a ticket for that."""
    inside = {name: Markup(each.html) for name, each in shown.items()}  # noqa: S704 - htpy's own
    nav = [h.li[h.a(href=f"#{name}")[name.replace("-", " ")]] for name in SECTIONS]
    return shell(
        visitor,
        nav,
        h.div(hx_ext="sse,morph", sse_connect=f"/live?ticket={ticket}")[
            h.div(sse_swap="news", hx_swap="none", hidden=True),
            h.p(".quiet")["As of ", inside.pop("clock"), h.span(id="connection")],
            [_with_search(name, html) for name, html in inside.items()],
        ],
    )


def _with_search(name: str, html: Markup) -> h.Node:
    return [html, search_form()] if name == "requests" else html


def shell(visitor: Visitor | None, nav: list[h.Element], *content: h.Node) -> h.Element:
    """What every page has around its content."""
    token = json.dumps({"x-csrf-token": visitor.csrf_token}) if visitor else None
    return h.html(lang="en")[
        h.head[
            h.meta(charset="utf-8"),
            h.meta(name="viewport", content="width=device-width, initial-scale=1"),
            h.meta(name="color-scheme", content="light dark"),
            h.meta(name="htmx-config", content=json.dumps(HTMX)),
            h.title["Flotilla"],
            h.link(rel="icon", href="/assets/favicon.svg"),
            (h.link(rel="stylesheet", href=f"/assets/{name}") for name in STYLES),
            (h.script(src=f"/assets/{name}", defer=True) for name in SCRIPTS),
        ],
        h.body(hx_headers=token)[
            h.header(".container-fluid")[
                h.nav[
                    h.ul[h.li[h.a(href="/")[h.strong["Flotilla"]]]],
                    h.ul[nav, _pages(), _theme(), _who(visitor)],
                ]
            ],
            h.main(".container-fluid")[content],
            h.dialog(id="dialog-frame", aria_label="Act")[h.article(id="dialog")],
        ],
    ]


def _pages() -> h.Node:
    return [h.li[h.a(href=f"/{name}")[name]] for name in ("fleet", "playground")]


def _theme() -> h.Element:
    return h.li[h.button(".small.outline", id="theme", type="button")["dark / light"]]


def _who(visitor: Visitor | None) -> h.Element:
    if visitor is None:
        return h.li[h.a(href="/sign-in")["sign in"]]
    return h.li[visitor.name, " ", h.button(".small.outline", hx_post="/sign-out")["sign out"]]
