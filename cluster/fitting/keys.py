"""Reads the keys of a model's config.json: outside input, so every value is checked and bounded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.errors import ArchitectureUnknown

#: Larger than any model that exists; small enough that nothing overflows or takes long.
MAX_NUMBER = 1 << 24
MAX_TEXT_CHARS = 256
#: Checkpoints that leave out single matrices name some hundreds.
MAX_ITEMS = 2_000


@dataclass(frozen=True, slots=True)
class Keys:
    """A JSON object, and where in config.json it stands."""

    values: Mapping[str, Any]
    path: str = ""

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        return self.values.get(key) is not None

    def number(
        self, key: str, default: int | None = None, *, least: int = 1, most: int = MAX_NUMBER
    ) -> int:
        """A whole number; the default stands in where the key is missing or null."""
        value = self.values.get(key)
        value = default if value is None else value
        if value is None:
            raise self.wrong(key, "is missing")
        if type(value) is not int or not least <= value <= most:
            raise self.wrong(key, f"must be a whole number from {least} to {most:,}")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.values.get(key)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self.values.get(key)
        value = default if value is None else value
        if value is None:
            raise self.wrong(key, "is missing")
        if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS:
            raise self.wrong(key, f"must be text of at most {MAX_TEXT_CHARS} characters")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty where the key is missing or null."""
        value = self.values.get(key) or []
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise self.wrong(key, f"must be a list of at most {MAX_ITEMS:,} texts")
        if not all(isinstance(item, str) and len(item) <= MAX_TEXT_CHARS for item in value):
            raise self.wrong(key, f"must hold texts of at most {MAX_TEXT_CHARS} characters")
        return tuple(value)

    def object(self, key: str) -> "Keys":
        """An object inside this one; an empty one where the key is missing or null."""
        value = self.values.get(key)
        value = {} if value is None else value
        if not isinstance(value, Mapping):
            raise self.wrong(key, "must be an object")
        return Keys(value, f"{self.path}{key}.")

    def objects(self, key: str) -> Iterator["Keys"]:
        """The objects inside an object."""
        inner = self.object(key)
        return (inner.object(name) for name in inner.values)

    def refuse(self, key: str, *allowed: Any) -> None:
        """Refuses a key whose value changes what the formulas say; missing and null are fine."""
        if self.has(key) and self.values[key] not in allowed:
            raise self.wrong(key, f"is {_shown(self.values[key])}, which is not supported")

    def wrong(self, key: str, why: str) -> ArchitectureUnknown:
        return ArchitectureUnknown(f"config.json: `{self.path}{key}` {why}")


def _shown(value: Any) -> str:
    return repr(value)[:MAX_TEXT_CHARS]
