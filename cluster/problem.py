"""One thing that is wrong with a fleet file: where it is, and what would be right."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

#: Keys and indices from the top of the file down to the place.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """`where` is `file:line`, or empty when the fleet did not come from a file."""

    path: Path
    message: str
    where: str = ""

    def __str__(self) -> str:
        place = ".".join(str(part) for part in self.path)
        return ": ".join(part for part in (self.where, place, self.message) if part)


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?`, or nothing when no known word is near."""
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean `{near[0]}`?" if near else ""
