"""The regular expressions that a caller may put into a schema: a plain subset, read by a parser of
its own, so that what nobody thought of is refused rather than handed to an engine.

Rules
- Known are letters, escapes of one character, classes, groups, alternatives, anchors and greedy
  repeats. Everything that begins with `(?` but `(?:`, back references, word boundaries, Unicode
  properties, lazy and possessive repeats are not.
- Counts are unrolled: `states` is what then stands there, and it is bounded.
- What may end in a repeat without limit is not repeated again, nor is what may be empty repeated
  without limit: such patterns match one text in very many ways.
"""

import string
from dataclasses import dataclass

from serving import bounds

_SETS = frozenset("dDwWsS")
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
_CODES = {"x": 2, "u": 4}
_PUNCTUATION = frozenset(string.punctuation)
_SPECIAL = frozenset("*+?{}[]()|")
_GROUPS = 16


class Refused(ValueError):
    """Its text says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What counts about a piece of a pattern."""

    #: With all counts unrolled.
    states: int = 0
    is_optional: bool = True
    #: It may end in a repeat without limit.
    ends_open: bool = False

    def then(self, following: "Shape") -> "Shape":
        ends_open = following.ends_open or (following.is_optional and self.ends_open)
        is_optional = self.is_optional and following.is_optional
        return Shape(self.states + following.states, is_optional, ends_open)

    def otherwise(self, other: "Shape") -> "Shape":
        return Shape(
            self.states + other.states,
            self.is_optional or other.is_optional,
            self.ends_open or other.ends_open,
        )

    def repeated(self, least: int, most: int | None) -> "Shape":
        if self.ends_open and most != 1:
            raise Refused("repeats what ends in a repeat")
        if most is None and self.is_optional:
            raise Refused("repeats what may be empty")
        times = max(least + 1 if most is None else most, 1)
        is_optional = self.is_optional or least == 0
        return Shape(self.states * times, is_optional, self.ends_open or most is None)


_ONE = Shape(1, is_optional=False)
_ANCHOR = Shape()


def check_pattern(pattern: str) -> None:
    """Raises Refused for what is not of the subset or unrolls to too much."""
    if any(ord(letter) < 32 for letter in pattern):
        raise Refused("holds a control character")
    reader = _Reader(pattern)
    shape = reader.alternatives()
    if not reader.is_done:
        raise Refused("closes a group that is not open")
    if shape.states > bounds.PATTERN_STATES:
        raise Refused(f"unrolls to more than {bounds.PATTERN_STATES} characters")


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._open_groups = 0

    @property
    def is_done(self) -> bool:
        return self._at == len(self._pattern)

    @property
    def _next(self) -> str:
        """The next character; empty at the end."""
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        letter = self._next
        if not letter:
            raise Refused("is not a whole regular expression")
        self._at += 1
        return letter

    def _skip(self, text: str) -> bool:
        found = self._pattern.startswith(text, self._at)
        if found:
            self._at += len(text)
        return found

    def alternatives(self) -> Shape:
        shape = self._branch()
        while self._skip("|"):
            shape = shape.otherwise(self._branch())
        return shape

    def _branch(self) -> Shape:
        shape = Shape()
        while self._next not in ("", "|", ")"):
            shape = shape.then(self._piece())
        return shape

    def _piece(self) -> Shape:
        letter = self._take()
        if letter in "^$":
            return _ANCHOR
        atom = self._atom(letter)
        limits = self._limits()
        if limits is None:
            return atom
        if self._next and self._next in "*+?{":
            raise Refused("has a repeat that is lazy, possessive or repeated")
        return atom.repeated(*limits)

    def _atom(self, letter: str) -> Shape:
        if letter == "(":
            return self._group()
        if letter == "[":
            self._class()
        elif letter == "\\":
            self._escape()
        elif letter in _SPECIAL:
            raise Refused(f"has a '{letter}' that has no meaning there; write it with a backslash")
        return _ONE

    def _group(self) -> Shape:
        self._open_groups += 1
        if self._open_groups > _GROUPS:
            raise Refused(f"has more than {_GROUPS} groups in each other")
        if not self._skip("?:") and self._next == "?":
            raise Refused("has a group that is not plain: only '(...)' and '(?:...)' are taken")
        shape = self.alternatives()
        if not self._skip(")"):
            raise Refused("opens a group and does not close it")
        self._open_groups -= 1
        return shape

    def _limits(self) -> tuple[int, int | None] | None:
        """How often the atom before comes; None where nothing is said."""
        if self._skip("*"):
            return 0, None
        if self._skip("+"):
            return 1, None
        if self._skip("?"):
            return 0, 1
        return self._counts() if self._skip("{") else None

    def _counts(self) -> tuple[int, int | None]:
        inside, closed, _ = self._pattern[self._at :].partition("}")
        first, comma, second = inside.partition(",")
        if not closed or not _is_count(first) or not (second == "" or _is_count(second)):
            raise Refused("has a '{' without counts; write it with a backslash")
        self._at += len(inside) + 1
        least = int(first)
        most = least if not comma else int(second) if second else None
        if max(least, most or 0) > bounds.PATTERN_REPEATS:
            raise Refused(f"repeats more than {bounds.PATTERN_REPEATS} times")
        if most is not None and most < least:
            raise Refused("repeats less at most than at least")
        return least, most

    def _escape(self) -> str | None:
        """The character that an escape stands for; None for a set of them."""
        letter = self._take()
        if letter in _SETS:
            return None
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter in _CODES:
            return self._code(_CODES[letter])
        if letter not in _PUNCTUATION:
            raise Refused("has an escape that is not taken")
        return letter

    def _code(self, digits: int) -> str:
        text = self._pattern[self._at : self._at + digits]
        if len(text) < digits or not all(letter in string.hexdigits for letter in text):
            raise Refused("has an escape that is not whole")
        self._at += digits
        return chr(int(text, 16))

    def _class(self) -> None:
        self._skip("^")
        if self._next == "]":
            raise Refused("has an empty class")
        while not self._skip("]"):
            first = self._member()
            if self._next == "-" and self._pattern[self._at + 1 : self._at + 2] != "]":
                self._skip("-")
                _check_range(first, self._member())

    def _member(self) -> str | None:
        letter = self._take()
        return self._escape() if letter == "\\" else letter


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _check_range(first: str | None, last: str | None) -> None:
    if first is None or last is None or first > last:
        raise Refused("has a range that runs backwards or is none")
