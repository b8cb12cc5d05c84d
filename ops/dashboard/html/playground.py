"""The playground: a model, its parameters, a chat, and the request as code."""

from collections.abc import Iterable

import htpy as h

from ops.dashboard.door import Visitor
from ops.dashboard.html.forms import field
from ops.dashboard.view.model import ModelView

#: Name, label and bounds of each parameter; empty is the model's own.
NUMBERS = (
    ("temperature", "temperature", {"min": "0", "max": "2", "step": "0.1"}),
    ("top_p", "top_p", {"min": "0", "max": "1", "step": "0.05"}),
    ("max_tokens", "max_tokens", {"min": "1", "step": "1", "value": "256"}),
    ("seed", "seed", {"step": "1"}),
)


def playground(models: Iterable[ModelView], base_url: str, visitor: Visitor | None) -> h.Node:
    if visitor is None:
        return h.p["The playground sends requests: ", h.a(href="/sign-in")["sign in"], " first."]
    return [
        h.section[
            h.h2["Playground"],
            h.div(id="chat", class_="chat", aria_live="polite"),
            h.p(id="timings", class_="quiet"),
            _form(models, base_url, visitor),
        ],
        h.section[
            h.h2["The same request"],
            h.details(open=True)[h.summary["curl"], h.pre(id="as-curl", class_="code")],
            h.details[h.summary["Python"], h.pre(id="as-python", class_="code")],
        ],
        h.script(src="/assets/playground.js", defer=True),
    ]


def _form(models: Iterable[ModelView], base_url: str, visitor: Visitor) -> h.Element:
    names = [model.name for model in models if not model.unavailable]
    return h.form(id="ask", data_base_url=base_url, data_token=visitor.csrf_token)[
        h.div(".grid")[
            h.label["model", h.select(name="model")[(h.option[name] for name in names)]],
            field("key", "API key", type="password", required=True, maxlength="512"),
        ],
        h.div(".grid")[
            (field(name, label, type="number", **bounds) for name, label, bounds in NUMBERS)
        ],
        field("system", "system message", maxlength="20000"),
        h.label["message", h.textarea(name="question", rows="3", required=True)],
        h.button(type="submit", name="send")["Send"],
        " ",
        h.button(".secondary", type="button", id="forget")["Forget the conversation"],
    ]
