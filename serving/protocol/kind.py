"""What a value may be, each said once: a kind checks a value and describes itself as JSON Schema.

Rules
- A kind is called with a value and its path, and gives the value for the engine back or raises a
  FieldError. A field that is null is absent; a null anywhere else is a wrong type.
- What `describe` says and what the call does are the same, but for what a schema cannot say: rules
  between fields (`Ruled`).
- A record has its fields in three classes: checked and kept, checked and dropped, refused although
  OpenAI has them. What is in no class is unknown.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from serving.protocol import check
from serving.protocol.check import Json, below, invalid, missing, unknown, unsupported, wrong_type

NO_EFFECT = "Taken and checked, without effect."
NOT_HERE = "Not supported by this server."


class Kind(Protocol):
    def __call__(self, value: Any, path: str) -> Any: ...
    def describe(self) -> Json: ...


@dataclass(frozen=True, slots=True)
class Flag:
    def __call__(self, value: Any, path: str) -> bool:
        return check.boolean(value, path)

    def describe(self) -> Json:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Off:
    """A switch that cannot be turned on here."""

    def __call__(self, value: Any, path: str) -> bool:
        if check.boolean(value, path):
            raise unsupported(path)
        return False

    def describe(self) -> Json:
        return {"type": "boolean", "const": False}


@dataclass(frozen=True, slots=True)
class Whole:
    least: int
    most: int

    def __call__(self, value: Any, path: str) -> int:
        return check.integer(value, path, self.least, self.most)

    def describe(self) -> Json:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Number:
    least: float
    most: float

    def __call__(self, value: Any, path: str) -> float:
        return check.number(value, path, self.least, self.most)

    def describe(self) -> Json:
        return {"type": "number", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Text:
    """`most` and `least` are characters; `pattern` with its words holds for the whole text."""

    most: int
    least: int = 0
    pattern: str | None = None
    words: str = ""

    def __call__(self, value: Any, path: str) -> str:
        found = check.text(value, path, most=self.most, least=self.least)
        if self.pattern is not None and not re.fullmatch(self.pattern, found):
            raise invalid(path, self.words)
        return found

    def describe(self) -> Json:
        bounds: Json = {"type": "string", "minLength": self.least, "maxLength": self.most}
        return bounds if self.pattern is None else {**bounds, "pattern": f"^{self.pattern}$"}


@dataclass(frozen=True, slots=True)
class Choice:
    choices: tuple[str, ...]
    #: OpenAI has these as well.
    refused: tuple[str, ...] = ()

    def __call__(self, value: Any, path: str) -> str:
        if value in self.refused:
            raise unsupported(path)
        return check.one_of(value, path, self.choices)

    def describe(self) -> Json:
        return {"type": "string", "enum": list(self.choices)}


@dataclass(frozen=True, slots=True)
class Listing:
    item: Kind
    most: int
    least: int = 0

    def __call__(self, value: Any, path: str) -> list[Any]:
        entries = check.array(value, path, most=self.most, least=self.least)
        return [self.item(entry, f"{path}[{index}]") for index, entry in enumerate(entries)]

    def describe(self) -> Json:
        bounds = {"minItems": self.least, "maxItems": self.most}
        return {"type": "array", "items": self.item.describe(), **bounds}


@dataclass(frozen=True, slots=True)
class Entries:
    """An object whose names are the caller's own: each matches `name` from end to end."""

    value: Kind
    most: int
    name: str
    words: str

    def __call__(self, value: Any, path: str) -> Json:
        entries = check.record(value, path)
        if len(entries) > self.most:
            raise invalid(path, f"has more than {self.most} entries")
        for name, entry in entries.items():
            if not re.fullmatch(self.name, name):
                raise invalid(path, self.words)
            self.value(entry, below(path, name))
        return entries

    def describe(self) -> Json:
        return {
            "type": "object",
            "maxProperties": self.most,
            "propertyNames": {"pattern": f"^{self.name}$"},
            "additionalProperties": self.value.describe(),
        }


@dataclass(frozen=True, slots=True)
class Either:
    """A text, or else a list or an object."""

    text: Kind
    other: Kind
    other_type: type[list[Any]] | type[Json]
    words: str

    def __call__(self, value: Any, path: str) -> Any:
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, self.other_type):
            return self.other(value, path)
        raise wrong_type(path, self.words)

    def describe(self) -> Json:
        return {"anyOf": [self.text.describe(), self.other.describe()]}


@dataclass(frozen=True, slots=True)
class Record:
    kept: Mapping[str, Kind]
    required: tuple[str, ...] = ()
    dropped: Mapping[str, Kind] = field(default_factory=dict)
    #: OpenAI has these and we do not; they may be null.
    refused: tuple[str, ...] = ()
    #: What stands in for an absent field.
    defaults: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, value: Any, path: str) -> Json:
        kept: Json = dict(self.defaults)
        for name, entry in check.record(value, path).items():
            at = below(path, name)
            kind = self.kept.get(name) or self.dropped.get(name)
            if kind is None:
                self._check_other(name, entry, at)
            elif entry is not None:
                checked = kind(entry, at)
                if name in self.kept:
                    kept[name] = checked
        for name in self.required:
            if name not in kept:
                raise missing(below(path, name))
        return kept

    def _check_other(self, name: str, value: Any, path: str) -> None:
        """What we do not have may be null; what nobody has may not be there."""
        if name not in self.refused:
            raise unknown(path)
        if value is not None:
            raise unsupported(path)

    def describe(self) -> Json:
        properties = {name: self._describe(name, kind) for name, kind in self.kept.items()}
        for name, kind in self.dropped.items():
            properties[name] = {**self._describe(name, kind), "description": NO_EFFECT}
        for name in self.refused:
            properties[name] = {"type": "null", "description": NOT_HERE}
        shape: Json = {"type": "object", "properties": properties, "additionalProperties": False}
        return {**shape, "required": list(self.required)} if self.required else shape

    def _describe(self, name: str, kind: Kind) -> Json:
        inner = kind.describe()
        return inner if name in self.required else {"anyOf": [inner, {"type": "null"}]}


@dataclass(frozen=True, slots=True)
class Tagged:
    """A record of one of several shapes; which one, its field `tag` says."""

    tag: str
    shapes: Mapping[str, Kind]
    #: Tags that others know, and what to send instead.
    refused: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, value: Any, path: str) -> Any:
        at = f"{path}.{self.tag}"
        tag = check.record(value, path).get(self.tag)
        if tag is None:
            raise missing(at)
        if isinstance(tag, str) and tag in self.refused:
            raise unsupported(at, self.refused[tag])
        return self.shapes[check.one_of(tag, at, self.shapes)](value, path)

    def describe(self) -> Json:
        return {"oneOf": [self._describe(tag, shape) for tag, shape in self.shapes.items()]}

    def _describe(self, tag: str, shape: Kind) -> Json:
        described = shape.describe()
        properties = {**described["properties"], self.tag: {"const": tag}}
        required = sorted({*described.get("required", ()), self.tag})
        return {**described, "properties": properties, "required": required}


@dataclass(frozen=True, slots=True)
class Ruled:
    """A kind and what no schema says of it."""

    kind: Kind
    rule: Callable[[Any, str], None]

    def __call__(self, value: Any, path: str) -> Any:
        found = self.kind(value, path)
        self.rule(found, path)
        return found

    def describe(self) -> Json:
        return self.kind.describe()
