"""Buttons whose answer opens as a dialog: the form of an act, or something to read.

They are asked for by the page's one listener: hundreds of them that htmx looks at one by one are a
good part of what a page of a large fleet takes to begin.
"""

from urllib.parse import urlencode

import htpy as h


def act_button(act: str, text: str, **subject: str) -> h.Element:
    return dialog_button(f"/acts/{act}", text, **subject)


def dialog_button(path: str, text: str, **subject: str) -> h.Element:
    asked = f"{path}?{urlencode(subject)}" if subject else path
    return h.button(".small.outline", type="button", data_dialog=asked)[text]
