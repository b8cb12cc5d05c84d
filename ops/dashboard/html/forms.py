"""Dialogs: what will happen and what is asked for; and what came of it."""

from collections.abc import Mapping, Sequence

import htpy as h


def ask(path: str, title: str, confirm: str, hidden: Mapping[str, str], body: h.Node) -> h.Node:
    """`hidden` goes back as it came; `body` may hold fields."""
    return [
        h.header[h.strong[title]],
        h.form(hx_post=path, hx_target="#dialog")[
            (h.input(type="hidden", name=name, value=value) for name, value in hidden.items()),
            body,
            h.footer[
                h.button(".secondary", type="button", data_close=True)["Cancel"],
                " ",
                h.button(type="submit")[confirm],
            ],
        ],
    ]


def done(title: str, secret: str = "") -> h.Node:
    shown = [h.p["It is shown this once and stored nowhere:"], h.pre(".secret")[secret]]
    return [h.header[h.strong[title]], shown if secret else h.p["Done."], _close()]


def refused(title: str, why: str) -> h.Node:
    return [h.header[h.strong[title]], h.p(".badge.ill", role="alert")[f"✕ {why}"], _close()]


def log(name: str, lines: Sequence[str]) -> h.Node:
    text = h.pre(".log", tabindex="0")["\n".join(lines)] if lines else h.p["It has said nothing."]
    return [h.header[h.strong[f"The last lines of {name}"]], text, _close()]


def sign_in_first() -> h.Node:
    said = h.p["Looking needs no key, acting does. ", h.a(href="/sign-in")["Sign in"], " first."]
    return [h.header[h.strong["Who are you?"]], said, _close()]


def field(name: str, label: str, **attributes: str | bool) -> h.Element:
    return h.label[label, h.input(name=name, autocomplete="off", **attributes)]


def sign_in_form(problem: str = "") -> h.Element:
    """A plain form, so that it works before anything else does."""
    return h.article[
        h.h2["Sign in"],
        h.p(".badge.ill", role="alert")[f"✕ {problem}"] if problem else None,
        h.form(method="post", action="/sign-in")[
            field("name", "Your name, for the audit", required=True, maxlength="32"),
            field("key", "The dashboard's key", type="password", required=True, maxlength="128"),
            h.small["On the head node: ", h.code["cat ~/.flotilla/dashboard_key"]],
            h.button(type="submit")["Sign in"],
        ],
    ]


def _close() -> h.Node:
    return h.footer[h.button(type="button", data_close=True, autofocus=True)["Close"]]
