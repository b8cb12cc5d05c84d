"""What the fleet says about public models, parsed once from `user_config`.

Unknown keys are refused: a fleet newer than this gateway must not lose half of its meaning.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from serving.money import Price


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One public model; several may share one replica set, each with its own window."""

    name: str
    replica_set: str
    window_tokens: int
    created: int
    aliases: tuple[str, ...] = ()
    #: The model that answers what this one's window cannot hold.
    fallback: str | None = None
    #: Why nobody can serve it; then it does not exist for clients.
    unavailable: str | None = None
    price: Price | None = None


class Card(msgspec.Struct, frozen=True):
    """A model as `GET /v1/models/{id}` shows it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Cards(msgspec.Struct, frozen=True):
    """The answer of `GET /v1/models`."""

    data: tuple[Card, ...]
    object: Literal["list"] = "list"


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    deadline_s: float = 600.0
    #: How long a gateway that stops lets its streams run.
    grace_s: float = 30.0


#: What the choice among replicas looks at: the work ahead of each, and with `prefix` also where the
#: beginning of the prompt is in a cache already.
Routing = Literal["prefix", "least-load"]


#: How the access log is written, if at all.
LogForm = Literal["json", "text", "off"]


class _UserConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    models: tuple[Model, ...] = ()
    limits: Limits = Limits()
    routing: Routing = "prefix"
    access_log: LogForm = "off"
    #: The URL that takes spans as OTLP over HTTP; None: nothing is traced.
    traces: str | None = None


def listing_of(cards: Iterable[bytes]) -> bytes:
    """`Cards` of these, each encoded already."""
    return b'{"data":[' + b",".join(cards) + b'],"object":"list"}'


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models by every name that a request may use, and the bytes of `GET /v1/models`."""

    by_name: Mapping[str, Model] = field(default_factory=dict)
    listing: bytes = listing_of(())
    cards: Mapping[str, bytes] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    routing: Routing = "prefix"
    access_log: LogForm = "off"
    traces: str | None = None


def parse(user_config: Mapping[str, Any]) -> Catalogue:
    config = msgspec.convert(user_config, _UserConfig)
    by_name: dict[str, Model] = {}
    for model in config.models:
        for name in (model.name, *model.aliases):
            if by_name.setdefault(name, model) is not model:
                raise ValueError(f"two models are called {name!r}")
    offered = [model for model in config.models if model.unavailable is None]
    cards = {model.name: _card(model) for model in offered}
    return Catalogue(
        by_name=by_name,
        listing=listing_of(cards.values()),
        cards=cards,
        limits=config.limits,
        routing=config.routing,
        access_log=config.access_log,
        traces=config.traces,
    )


def _card(model: Model) -> bytes:
    return msgspec.json.encode(Card(model.name, "model", model.created, "lambda"))
