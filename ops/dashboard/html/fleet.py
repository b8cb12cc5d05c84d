"""The page on which another fleet is made to run: a text or one that ran before, its plan, what
becomes of it.
"""

from collections.abc import Mapping, Sequence

import htpy as h

from deployments.past_fleets import PastFleet
from deployments.yaml_text import MAX_BYTES
from ops.dashboard.html.badge import badge
from ops.dashboard.html.figure import moment
from ops.dashboard.view.deploy import DeployView, PlanView
from ops.dashboard.view.health import Health
from ops.planning import NOTHING_TO_DO

PLAN_PATH = "/fleet/plan"
DEPLOY_PATH = "/fleet/deploy"
PROGRESS_PATH = "/fleet/progress"
#: Names of models that a fleet is told by.
NAMES_SHOWN = 6


def fleet_page(past: Sequence[PastFleet], under_way: DeployView | None) -> h.Node:
    return [
        h.section[
            h.h2["Another fleet"],
            h.p(".quiet")[
                "Nothing happens before its plan was shown and confirmed. One replica at a time, "
                "each waited for; a step that fails is taken back."
            ],
            _text_form(),
        ],
        h.section(id="plan", aria_live="polite")[
            None if under_way is None else progress(under_way)
        ],
        h.section(id="past")[
            h.h2["Fleets that ran here"],
            h.ul[(_past(each, is_now=at == 0) for at, each in enumerate(past))],
            None if past else h.p(".quiet")["None was written down yet."],
        ],
    ]


def planned(shown: PlanView, hidden: Mapping[str, str]) -> h.Node:
    """`hidden` goes back with the confirmation."""
    return [h.h2["The plan"], h.pre(tabindex="0")[shown.text], _verdict(shown, hidden)]


def _verdict(shown: PlanView, hidden: Mapping[str, str]) -> h.Node:
    if shown.is_blocked:
        return h.p(".badge.ill", role="alert")["✕ Parts of it are blocked: nothing is started."]
    if shown.is_nothing:
        return h.p[badge(Health.WELL, NOTHING_TO_DO)]
    sent = {**hidden, "seal": shown.seal}
    return h.form(hx_post=DEPLOY_PATH, hx_target="#plan", hx_disabled_elt="find button")[
        (h.input(type="hidden", name=name, value=value) for name, value in sent.items()),
        h.button(type="submit")[f"Do it: {shown.summary}"],
    ]


def refused(why: str) -> h.Node:
    """A line for each thing that is wrong."""
    lines = h.pre(".problems", role="alert")[why]
    return [h.h2[badge(Health.ILL, "Not this way")], lines]


def progress(view: DeployView) -> h.Element:
    """Asks for itself again until it is over."""
    asks = {"hx-get": PROGRESS_PATH, "hx-trigger": "every 1s", "hx-swap": "outerHTML"}
    return h.div({} if view.outcome is not None else asks, id="progress")[
        h.h2[f"{view.title}, confirmed by {view.who}"],
        h.ol[(h.li[step] for step in view.steps)],
        _end(view),
    ]


def _end(view: DeployView) -> h.Element:
    if view.outcome is None:
        return h.p[badge(Health.BUSY, view.at)]
    health = Health.WELL if view.is_well else Health.ILL
    return h.p(role="status" if view.is_well else "alert")[badge(health, view.outcome)]


def _text_form() -> h.Element:
    return h.form(hx_post=PLAN_PATH, hx_target="#plan", hx_disabled_elt="find button")[
        h.label[
            "A fleet file", h.input(type="file", accept=".yaml,.yml", data_most_bytes=MAX_BYTES)
        ],
        h.input(type="hidden", name="file", value=""),
        h.label[
            "or its text",
            h.textarea(".fleet-text", name="text", required=True, spellcheck="false"),
        ],
        h.button(type="submit")["Show its plan"],
    ]


def _past(past: PastFleet, *, is_now: bool) -> h.Element:
    names = list(past.fleet.models)
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return h.li[
        h.form(hx_post=PLAN_PATH, hx_target="#plan", hx_disabled_elt="find button")[
            h.input(type="hidden", name="before", value=past.id),
            f"since {moment(past.at_s)}: {', '.join(names[:NAMES_SHOWN])}{more} ",
            h.b["runs now "] if is_now else None,
            h.button(".small.outline", type="submit")["show its plan"],
        ]
    ]
