"""What may be done from the page: for each deed what its form says and asks, and the act it
becomes. Values only; whoever owns the fleet and the ledger decides whether it is done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import htpy as h

from deployments.ledger.acts import (
    Act,
    CreateKey,
    DrainReplica,
    RestartReplica,
    RevokeKey,
    ScaleModel,
)
from ops.dashboard.html.forms import field
from ops.dashboard.view.page import Page
from serving.limits.terms import MOST, Limits

Values = Mapping[str, str]
#: Of a field; names and ids are shorter.
MOST_CHARS = 256


class ValuesUnusable(Exception):
    """The form says something that cannot be; its text is for who filled it in."""


@dataclass(frozen=True, slots=True)
class Deed:
    title: Callable[[Values], str]
    #: On the button that does it.
    confirm: str
    #: What will happen, and the fields.
    body: Callable[[Values, Page], h.Node]
    #: Raises ValuesUnusable.
    act: Callable[[Values], Act]


def _create_key_body(_: Values, page: Page) -> h.Node:
    tenants = [tenant.name for tenant in page.tenants] or ["default"]
    amount = {"type": "number", "min": "1", "max": str(MOST)}
    return [
        field("name", "Name", required=True, maxlength="64"),
        h.label["Tenant", h.select(name="tenant")[(h.option[name] for name in tenants)]],
        h.div(".grid")[
            field("requests_per_minute", "Requests a minute", **amount),
            field("tokens_per_minute", "Tokens a minute", **amount),
            field("concurrent", "At one time", **amount),
        ],
    ]


def _create_key(values: Values) -> Act:
    limits = Limits(
        requests_per_minute=_amount(values, "requests_per_minute"),
        tokens_per_minute=_amount(values, "tokens_per_minute"),
        concurrent=_amount(values, "concurrent"),
    )
    return CreateKey(_text(values, "name"), _text(values, "tenant"), limits=limits)


def _revoke_body(values: Values, _: Page) -> h.Node:
    return h.p["Refused everywhere within seconds, for good; what it runs is cut."]


def _scale_body(values: Values, page: Page) -> h.Node:
    name = values.get("model", "")
    model = next((each for each in page.models if each.name == name), None)
    if model is None or model.desired is None:
        return h.p[f"There is no {name} any more whose number is kept."]
    return [
        h.p[f"{name} has {model.ready} ready of {model.desired}. {model.why}"],
        h.p(".quiet")[
            "Demand goes on from there: a replica that nobody needs goes after its model's idle "
            "time. What fits nowhere is not started."
        ],
        h.input(type="hidden", name="seen", value=str(model.desired)),
        field("count", "Replicas", type="number", min="0", value=str(model.desired), required=True),
    ]


def _scale(values: Values) -> Act:
    count, seen = _amount(values, "count"), _amount(values, "seen")
    if count is None or seen is None:
        raise ValuesUnusable("say how many replicas")
    return ScaleModel(_text(values, "model"), count, seen)


def _restart_body(values: Values, page: Page) -> h.Node:
    return [
        _others(values, page),
        h.p["It finishes the requests it has, stops, and starts anew. Meanwhile others answer."],
    ]


def _drain_body(values: Values, page: Page) -> h.Node:
    return [
        _others(values, page),
        h.p["It finishes the requests it has and goes; its model has one replica fewer."],
    ]


def _others(values: Values, page: Page) -> h.Node:
    """Who answers meanwhile; the one thing to know before."""
    name = values.get("replica", "")
    replica = next((each for each in page.replicas if each.name == name), None)
    if replica is None:
        return h.p[f"{name} is not there any more."]
    others = [r for r in page.replicas if r.model == replica.model and r.is_ready and r != replica]
    said = f"{replica.in_flight} requests in flight. "
    if not others:
        return h.p(".badge.ill")[said, "✕ No other replica of its model is ready: nobody answers."]
    return h.p[said, f"{len(others)} others of {replica.model} are ready."]


def _replica_of(values: Values) -> tuple[str, str]:
    return _text(values, "replica"), _text(values, "replica_id")


def _text(values: Values, name: str) -> str:
    text = values.get(name, "").strip()
    if not text or len(text) > MOST_CHARS:
        raise ValuesUnusable(f"{name.replace('_', ' ')} is missing, or too long")
    return text


def _amount(values: Values, name: str) -> int | None:
    text = values.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:20]) <= MOST):
        raise ValuesUnusable(f"{name.replace('_', ' ')} is no number up to {MOST:,}")
    return int(text)


DEEDS: Mapping[str, Deed] = {
    "create-key": Deed(lambda _: "Make a key", "Make it", _create_key_body, _create_key),
    "revoke-key": Deed(
        lambda values: f"Revoke {values.get('name', '')} ({values.get('key_id', '')})",
        "Revoke it",
        _revoke_body,
        lambda values: RevokeKey(_text(values, "key_id")),
    ),
    "scale": Deed(
        lambda values: f"Scale {values.get('model', '')}", "Scale it", _scale_body, _scale
    ),
    "restart": Deed(
        lambda values: f"Restart {values.get('replica', '')}",
        "Restart it",
        _restart_body,
        lambda values: RestartReplica(*_replica_of(values)),
    ),
    "drain": Deed(
        lambda values: f"Drain {values.get('replica', '')}",
        "Drain it",
        _drain_body,
        lambda values: DrainReplica(*_replica_of(values)),
    ),
}
