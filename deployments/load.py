"""A fleet file becomes a Fleet, or a list of all that is wrong with it: file, line, and the nearest
key.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from deployments import rules
from deployments.errors import FleetInvalid
from deployments.fleet import Fleet, Gateway
from deployments.model import Model, Replicas, Served, Shared, Unavailable
from deployments.problem import Path, Problem, nearest
from deployments.yaml_text import MAX_BYTES, Document, read
from serving.replica.spec import Device

#: What may stand under which key; models are told apart by the tags of `Model`.
SCHEMAS: Mapping[str, type[BaseModel]] = {
    "": Fleet,
    "gateway": Gateway,
    "replicas": Replicas,
    "source": Served,
    "replicas_of": Shared,
    "unavailable": Unavailable,
}
_MODEL: TypeAdapter[Model] = TypeAdapter(Model)


def load(path: FilePath, device: Device | None = None) -> Fleet:
    """Reads a fleet file; `device` is taken instead of the file's. Raises FleetInvalid."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise FleetInvalid([Problem((), reason.lower(), str(path))]) from error
    return parse(raw, str(path), path.resolve().parent, device)


def parse(raw: bytes, file: str, directory: FilePath, device: Device | None = None) -> Fleet:
    """Reads a fleet; its relative paths start from `directory`. Raises FleetInvalid."""
    document = read(raw, file)
    if document.problems:
        raise FleetInvalid(document.problems)
    if not isinstance(document.value, dict):
        raise FleetInvalid([Problem((), "is not a fleet: it begins with `models:`", f"{file}:1")])
    value = {**document.value, "device": device} if device else document.value
    context = {"directory": str(directory)}
    try:
        return Fleet.model_validate(value, context=context)
    except FleetInvalid as invalid:
        raise FleetInvalid(_placed(invalid.problems, document)) from None
    except ValidationError as error:
        found = [*_shape(error), *_between(value, error, context)]
        raise FleetInvalid(_placed(found, document)) from None


def placed(found: list[Problem], path: FilePath) -> list[Problem]:
    """Problems that came up later, with their file and line."""
    return _placed(found, read(path.read_bytes(), str(path)))


def _placed(found: list[Problem] | tuple[Problem, ...], document: Document) -> list[Problem]:
    known = [replace(problem, where=document.where(problem.path)) for problem in found]
    return sorted(known, key=lambda problem: int(problem.where.rsplit(":", 1)[1]))


def _shape(error: ValidationError) -> Iterator[Problem]:
    for details in error.errors(include_url=False):
        yield Problem(_path(details["loc"]), _message(details))


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


def _path(loc: tuple[int | str, ...]) -> Path:
    """The place in the file: without pydantic's marks for a model's kind and for a key."""
    kept = loc[:2] + loc[3:] if loc[:1] == ("models",) else loc
    return tuple(part for part in kept if part != "[key]")


def _message(details: ErrorDetails) -> str:
    loc = details["loc"]
    match details["type"]:
        case "extra_forbidden":
            return _unknown(str(loc[-1]), str(loc[-2]) if len(loc) > 1 else "")
        case "missing" if loc[-1] == "source":
            return "is needed, or `replicas_of`, or `unavailable`"
        case "missing":
            return "is needed"
        case "union_tag_not_found":
            return "is not a model: it has `source`, `replicas_of` or `unavailable`"
        case "value_error":
            return str(details["ctx"]["error"])
        case "string_pattern_mismatch":
            return f"`{details['input']!s:.40}` is not a name: letters, digits, `.`, `_`, `-`"
        case _:
            return f"{details['msg'].removeprefix('Input ')}, not {details['input']!r:.40}"


def _unknown(key: str, schema: str) -> str:
    if schema in ("replicas_of", "unavailable") and key in Served.model_fields:
        return f"does not go together with `{schema}`"
    return f"is unknown{nearest(key, SCHEMAS[schema].model_fields)}"
