"""The models, and beneath each name why it has so many replicas."""

import htpy as h

from deployments.figures import ModelFigures
from ops.dashboard.html.badge import badge
from ops.dashboard.html.button import act_button
from ops.dashboard.html.figure import NONE, rate, seconds, share
from ops.dashboard.html.fragment import Panel
from ops.dashboard.html.table import row, table_panel
from ops.dashboard.view.health import Health
from ops.dashboard.view.model import ModelView

COLUMNS = (
    "model",
    "state",
    "replicas",
    "running",
    "waiting",
    "KV cache",
    "token/s",
    "requests/min",
    "errors",
    "fallbacks",
    "first token p50 / p99",
    "between tokens p50 / p99",
    "",
)
STATES = {Health.WELL: "served", Health.BUSY: "changing", Health.ILL: "not served"}


def models_panel(views: tuple[ModelView, ...], *, can_scale: bool) -> Panel:
    rows = {f"model-{view.name}": _row(view, can_scale=can_scale) for view in views}
    return table_panel("models", "Models", COLUMNS, rows)


def _row(view: ModelView, *, can_scale: bool) -> h.Element:
    if view.unavailable:
        listed = (badge(Health.BUSY, "listed only"), *[NONE] * 9, None)
        return row(f"model-{view.name}", _name(view), *listed)
    return row(
        f"model-{view.name}",
        _name(view),
        badge(view.health, STATES[view.health]),
        str(view.ready) if view.desired is None else f"{view.ready} of {view.desired}",
        str(view.running),
        str(view.waiting + view.queued),
        _meter(view.kv_use),
        rate(view.tokens_per_s),
        *_figures(view.figures),
        _scale(view) if can_scale else None,
    )


def _figures(figures: ModelFigures | None) -> tuple[str, ...]:
    """What clients saw: requests, errors, fallbacks, times to tokens."""
    if figures is None:
        return (NONE,) * 5
    return (
        rate(figures.requests * 60 / figures.window_s) if figures.window_s else NONE,
        str(figures.errors),
        str(figures.fallbacks),
        f"{seconds(figures.first_token_p50_s)} / {seconds(figures.first_token_p99_s)}",
        f"{seconds(figures.between_tokens_p50_s)} / {seconds(figures.between_tokens_p99_s)}",
    )


def _name(view: ModelView) -> h.Node:
    shares = view.replica_set != view.name and not view.unavailable
    said = [
        f"{view.window_tokens:,} tokens" if view.window_tokens else "",
        f"replicas of {view.replica_set}" if shares else "",
        f"falls back to {view.fallback}" if view.fallback else "",
        f"also {', '.join(view.aliases)}" if view.aliases else "",
        view.unavailable,
        view.why,
    ]
    return [h.b[view.name], h.br, h.small(".quiet")["; ".join(each for each in said if each)]]


def _meter(value: float) -> h.Node:
    return [h.meter(min="0", max="1", high="0.9", value=f"{value:.3f}"), " ", share(value)]


def _scale(view: ModelView) -> h.Node:
    return act_button("scale", "scale", model=view.name) if view.replica_set == view.name else None
