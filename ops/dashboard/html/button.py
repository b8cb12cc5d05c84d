"""Buttons whose answer opens as a dialog: the form of an act, or something to read."""

import json

import htpy as h


def act_button(act: str, text: str, **subject: str) -> h.Element:
    return dialog_button(f"/acts/{act}", text, **subject)


def dialog_button(path: str, text: str, **subject: str) -> h.Element:
    return h.button(
        ".small.outline",
        type="button",
        hx_get=path,
        hx_vals=json.dumps(subject),
        hx_target="#dialog",
    )[text]
