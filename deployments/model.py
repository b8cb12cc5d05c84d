"""One model of a fleet. It is one of three: served by replicas of its own (`source`), by the
replicas of another model (`replicas_of`), or known but not servable (`unavailable`). Rules over
several models are in `rules`.
"""

import posixpath
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cluster.inventory import Label
from cluster.strict import Strict
from deployments.engine_keys import MAX_LOGPROBS, EngineName, EngineSetting
from deployments.price import Price

#: The `created` of the retired API's own listing; a constant, so that a render is the same
#: tomorrow.
DEFAULT_CREATED_S = 1724347380
#: Far above any real fleet; a typing error of three more digits stops here.
MAX_REPLICAS = 1000

_HUGGING_FACE_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")

#: What a client may send as `model`.
Name = Annotated[
    str,
    Field(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*([/:][A-Za-z0-9][A-Za-z0-9._-]*)*$"),
]
Tokens = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Replicas(Strict):
    """How many replicas a model may have; `min` are there without any load, and `max` is the same
    unless it is said.
    """

    #: How many there are without any load.
    min: int = Field(default=1, ge=0, le=MAX_REPLICAS)
    #: How many demand may bring; `min` unless it is said.
    max: int = Field(default=1, ge=1, le=MAX_REPLICAS)

    @model_validator(mode="before")
    @classmethod
    def _max_of_min(cls, raw: Any) -> Any:
        least = raw.get("min") if isinstance(raw, dict) and "max" not in raw else None
        return {**raw, "max": max(least, 1)} if type(least) is int else raw

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) is above max ({self.max})")
        return self

    def clipped(self, count: int) -> int:
        """The nearest number of replicas that is allowed."""
        return min(max(count, self.min), self.max)


class Scaling(Strict):
    """How a model shares the accelerators with others, between its `min` and its `max`."""

    #: Higher goes first: it takes from lower ones, down to their `min`.
    priority: int = Field(default=0, ge=-100, le=100)
    #: Among equals: how much a request of this model counts.
    weight: float = Field(default=1.0, gt=0, le=1000)
    #: That nine of ten first tokens should come within.
    first_token_s: float = Field(default=2.0, ge=0.01, le=600)
    #: How long a replica is surplus before it goes, the last one too where `min` is 0.
    idle_s: float = Field(default=300.0, ge=10, le=86400)


class Named(Strict):
    """What every model has."""

    #: Further names that are accepted and not listed.
    aliases: tuple[Name, ...] = Field(default=(), strict=False)
    #: Unix time in the listing of models.
    created: int = Field(default=DEFAULT_CREATED_S, ge=0)


class Served(Named):
    """A model with replicas of its own."""

    #: `./path` from the fleet file, `/path`, or a Hugging Face id; absolute once it is loaded.
    source: str
    #: The window in tokens: prompt and answer together.
    max_model_len: Tokens
    #: Accelerators of one stage; they are on one node.
    tensor: int = Field(default=1, ge=1, le=64)
    #: Stages: each has `tensor` accelerators and a part of the layers.
    pipeline: int = Field(default=1, ge=1, le=64)
    #: `pack` puts the stages of a replica on as few nodes as it can, `spread` each on a node of its
    #: own.
    stage_placement: Literal["pack", "spread"] = "pack"
    #: What a node must be labelled with to hold a replica; for fleets with an inventory.
    node_labels: Mapping[Label, Label] = {}
    #: How many replicas there may be.
    replicas: Replicas = Replicas()
    #: How the model shares accelerators with others.
    scaling: Scaling = Scaling()
    #: Any argument of vLLM but those that Flotilla sets itself; checked by vLLM's own parser.
    engine: Mapping[EngineName, EngineSetting] = {}
    #: The model with a larger window that answers what does not fit.
    fallback: Name | None = None
    #: What its tokens cost; without it nothing.
    price: Price | None = None

    @field_validator("source")
    @classmethod
    def _absolute(cls, source: str, info: ValidationInfo) -> str:
        if not source.isprintable():
            raise ValueError("is not printable text")
        if source.startswith("/"):
            return posixpath.normpath(source)
        if source.startswith(("./", "../")):
            directory = (info.context or {}).get("directory", "")
            return posixpath.normpath(posixpath.join(directory, source))
        if not _HUGGING_FACE_ID.fullmatch(source):
            raise ValueError("is neither a path (begin it with `./` or `/`) nor a Hugging Face id")
        return source

    @field_validator("engine", mode="before")
    @classmethod
    def _written_once(cls, engine: Any) -> Any:
        names = [str(name).replace("-", "_") for name in engine] if isinstance(engine, dict) else []
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"sets {', '.join(sorted(twice))} twice, with `-` and with `_`")
        return engine

    @field_validator("engine")
    @classmethod
    def _bounded_logprobs(cls, engine: Mapping[str, Any]) -> Mapping[str, Any]:
        wanted = engine.get("max_logprobs", MAX_LOGPROBS)
        if type(wanted) is not int or not (0 <= wanted <= MAX_LOGPROBS):
            raise ValueError(f"max_logprobs is a number from 0 to {MAX_LOGPROBS}")
        return engine


class Shared(Named):
    """A model that is served by another one's replicas, within a window of its own."""

    #: The model whose replicas answer.
    replicas_of: Name
    #: The window in tokens: at most that of the replicas.
    max_model_len: Tokens
    #: The model with a larger window that answers what does not fit.
    fallback: Name | None = None
    #: That of the model whose replicas they are, where it is left out.
    price: Price | None = None


class Unavailable(Named):
    """A known model that nobody can serve: not listed; asking for it gets this text."""

    #: Why it cannot be had, in words for its callers.
    unavailable: str = Field(min_length=1, max_length=400)


def _kind(raw: Any) -> str | None:
    if isinstance(raw, dict):
        return next((key for key in ("replicas_of", "unavailable") if key in raw), "source")
    # A model made in code, not read from a file.
    kinds = {"Served": "source", "Shared": "replicas_of", "Unavailable": "unavailable"}
    return kinds.get(type(raw).__name__)


#: The tags are the keys that tell the three apart.
Model = Annotated[
    Annotated[Served, Tag("source")]
    | Annotated[Shared, Tag("replicas_of")]
    | Annotated[Unavailable, Tag("unavailable")],
    Discriminator(_kind),
]
