"""A state as a word with a sign and a colour: who sees no colour reads the sign."""

from htpy import Element, span

from ops.dashboard.view.health import Health

SIGNS = {Health.WELL: "●", Health.BUSY: "◐", Health.ILL: "✕"}


def badge(health: Health, text: str) -> Element:
    return span(f".badge.{health}")[span(aria_hidden="true")[SIGNS[health]], " ", text]
