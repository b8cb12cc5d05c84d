"""A button that asks for the form of an act, which opens as a dialog."""

import json

import htpy as h


def act_button(act: str, text: str, **subject: str) -> h.Element:
    return h.button(
        ".small.outline",
        type="button",
        hx_get=f"/acts/{act}",
        hx_vals=json.dumps(subject),
        hx_target="#dialog",
    )[text]
