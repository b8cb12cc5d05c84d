"""The catalogue: what is known of a model before anybody has downloaded it, one file for each id.

A model of a fleet whose name is an id of the catalogue takes from here whatever the fleet file does
not say itself. Nothing here decides where a model runs or how many replicas it has.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path as FilePath
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from cluster.strict import Strict
from deployments.engine_keys import EngineName, EngineSetting
from deployments.errors import CatalogueInvalid
from deployments.model import DEFAULT_CREATED_S, Name, Tokens
from deployments.schema import schema_problems
from deployments.yaml_text import read_file

DIRECTORY = FilePath(__file__).parent

Text = Annotated[str, Field(min_length=1, max_length=400)]


class KnownShape(Strict):
    """A shape that was computed to fit, and on what."""

    accelerator: str
    tensor: int = Field(ge=1, le=64)
    pipeline: int = Field(default=1, ge=1, le=64)


class Entry(Strict):
    """One model that is known."""

    id: Name
    aliases: tuple[Name, ...] = Field(default=(), strict=False)
    created: int = DEFAULT_CREATED_S
    #: Why nobody can serve it; then it has nothing of what follows up to `licence`.
    unavailable: Text | None = None
    #: A Hugging Face id; a fleet may name a path instead.
    source: str | None = None
    #: The window to serve it with.
    max_model_len: Tokens | None = None
    fallback: Name | None = None
    #: The model whose checkpoint this is too; a fleet may let both share replicas.
    same_checkpoint_as: Name | None = None
    #: The best first; none where there are no weights.
    shapes: tuple[KnownShape, ...] = Field(default=(), strict=False)
    engine: Mapping[EngineName, EngineSetting] = {}
    #: As its config.json says it; a config.json that is reached is believed before this.
    architecture: Mapping[str, Any] = {}
    licence: Text | None = None
    #: Whether the hub wants a token and a consent before it gives the weights.
    is_gated: bool = False
    notes: tuple[Text, ...] = Field(default=(), strict=False)
    #: Where each of the values above is from.
    origin: Mapping[str, Text]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        is_served = bool(self.source and self.max_model_len and self.shapes)
        if is_served == (self.unavailable is not None):
            raise ValueError("has `source`, `max_model_len` and `shapes`, or is `unavailable`")
        return self

    def defaults(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The keys of a fleet's model that this entry knows and that go with what `body` says."""
        names: dict[str, Any] = {"aliases": list(self.aliases), "created": self.created}
        if self.unavailable is not None:
            is_served = "source" in body or "replicas_of" in body
            return names if is_served else {**names, "unavailable": self.unavailable}
        window = {"max_model_len": self.max_model_len, "fallback": self.fallback}
        if "replicas_of" in body:
            return {**names, **window}
        shape = self.shapes[0].model_dump(include={"tensor", "pipeline"})
        return {**names, **window, **shape, "source": self.source, "engine": dict(self.engine)}


def ids() -> list[str]:
    """Every id there is an entry for."""
    return sorted(path.stem for path in DIRECTORY.glob("*.yaml"))


@cache
def entry(name: str) -> Entry | None:
    """What is known of a model; None when there is no such id. Raises CatalogueInvalid."""
    if name not in ids():
        return None
    document = read_file(DIRECTORY / f"{name}.yaml")
    if document.problems:
        raise CatalogueInvalid(document.problems)
    try:
        return Entry.model_validate(document.value)
    except ValidationError as error:
        found = schema_problems(error, {"": Entry, "shapes": KnownShape})
        raise CatalogueInvalid(document.placed(found)) from None


def completed(name: str, body: Any) -> Any:
    """A model as a fleet file says it, with what the catalogue knows of the rest."""
    known = entry(name) if isinstance(body, dict | None) else None
    if known is None or "unavailable" in (body or {}):
        return body
    written = dict(body or {})
    made = {**known.defaults(written), **written}
    if isinstance(written.get("engine"), dict):
        made["engine"] = {**known.engine, **_snake(written["engine"])}
    return made


def _snake(engine: Mapping[Any, Any]) -> dict[Any, Any]:
    """The names as the catalogue writes them, so that one setting is not there twice."""
    if len({str(name).replace("-", "_") for name in engine}) < len(engine):
        return dict(engine)  # twice by itself; the fleet's own check says so
    return {str(name).replace("-", "_"): value for name, value in engine.items()}
