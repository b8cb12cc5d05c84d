"""A fleet file becomes a Fleet, or a list of all that is wrong with it: file, line, and the nearest
key.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from cluster.problem import Path, Problem, nearest
from deployments import rules
from deployments.catalogue import completed, ids
from deployments.errors import FleetInvalid
from deployments.fleet import Fleet, Gateway, Tls
from deployments.model import Model, Replicas, Scaling, Served, Shared, Unavailable
from deployments.price import Price
from deployments.schema import Location, schema_problems
from deployments.yaml_text import Document, read, read_file
from serving.replica.spec import Device

#: What may stand under which key; models are told apart by the tags of `Model`.
SCHEMAS: Mapping[str, type[BaseModel]] = {
    "": Fleet,
    "gateway": Gateway,
    "tls": Tls,
    "replicas": Replicas,
    "scaling": Scaling,
    "price": Price,
    "source": Served,
    "replicas_of": Shared,
    "unavailable": Unavailable,
}
_MODEL: TypeAdapter[Model] = TypeAdapter(Model)


def load(path: FilePath, device: Device | None = None) -> Fleet:
    """Reads a fleet file; `device` is taken instead of the file's. Raises FleetInvalid."""
    return _fleet(read_file(path), path.resolve().parent, device)


def parse(raw: bytes, file: str, directory: FilePath, device: Device | None = None) -> Fleet:
    """Reads a fleet; its relative paths start from `directory`. Raises FleetInvalid."""
    return _fleet(read(raw, file), directory, device)


def placed(found: Iterable[Problem], path: FilePath) -> list[Problem]:
    """Problems that came up later, with their file and line."""
    return read_file(path).placed(found)


def _fleet(document: Document, directory: FilePath, device: Device | None) -> Fleet:
    if document.problems:
        raise FleetInvalid(document.problems)
    if not isinstance(document.value, dict):
        where = f"{document.file}:1"
        raise FleetInvalid([Problem((), "is not a fleet: it begins with `models:`", where)])
    value = _completed({**document.value, **({"device": device} if device else {})})
    context = {"directory": str(directory)}
    try:
        return Fleet.model_validate(value, context=context)
    except FleetInvalid as invalid:
        raise FleetInvalid(document.placed(invalid.problems)) from None
    except ValidationError as error:
        found = [*_shape(error), *_between(value, error, context)]
        raise FleetInvalid(document.placed(found)) from None


def _completed(value: dict[str, Any]) -> dict[str, Any]:
    """The fleet with what the catalogue knows of its models."""
    models = value.get("models")
    if not isinstance(models, dict):
        return value
    return {**value, "models": {name: completed(name, body) for name, body in models.items()}}


def _shape(error: ValidationError) -> Iterator[Problem]:
    for problem in schema_problems(error, SCHEMAS, _own_words):
        yield replace(problem, path=_path(problem.path))


def _between(
    value: dict[str, Any], error: ValidationError, context: dict[str, str]
) -> list[Problem]:
    """What is wrong between those models that are right by themselves."""
    named = value.get("models")
    if not isinstance(named, dict) or value.get("device", "gpu") not in ("gpu", "cpu"):
        return []
    places = [details["loc"] for details in error.errors()]
    broken = {str(loc[1]) for loc in places if loc[0] == "models" and len(loc) > 1}
    sound = {
        name: _MODEL.validate_python(body, context=context)
        for name, body in named.items()
        if name not in broken
    }
    return rules.problems(sound, value.get("device", "gpu"), broken)


def _path(loc: Location) -> Path:
    """The place in the file: without pydantic's marks for a model's kind and for a key."""
    kept = loc[:2] + loc[3:] if loc[:1] == ("models",) else loc
    return tuple(part for part in kept if part != "[key]")


def _own_words(details: ErrorDetails) -> str | None:
    loc = details["loc"]
    match details["type"]:
        case "missing" if loc[-1] == "source":
            return f"is needed, or `replicas_of`, or `unavailable`{_in_catalogue(str(loc[1]))}"
        case "union_tag_not_found":
            kinds = "it has `source`, `replicas_of` or `unavailable`"
            return f"is not a model: {kinds}{_in_catalogue(str(loc[1]))}"
        case "extra_forbidden" if loc == ("gateway", "replicas"):
            return "is unknown: every live node has two gateways, and nobody counts them"
        case "extra_forbidden" if loc[-2:-1] and loc[-2] in ("replicas_of", "unavailable"):
            if loc[-1] in Served.model_fields:
                return f"does not go together with `{loc[-2]}`"
    return None


def _in_catalogue(name: str) -> str:
    """A model that says so little was perhaps meant to be one that is known."""
    near = nearest(name, ids())
    return f"{near} (it is in the catalogue)" if near else ""
