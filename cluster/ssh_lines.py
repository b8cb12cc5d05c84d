"""The lines of an OpenSSH client config that say where a host is and how to log in. Pure.

Keywords are case-insensitive and stand before blanks or one `=`; quotes hold a whole word; a word
that begins with `#` ends the line. Keywords that say nothing of a login are passed over, unread.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

#: An inventory as large as we take has a config of this size.
MAX_BYTES = 256 * 1024
SETTINGS = frozenset({"hostname", "user", "port", "identityfile", "proxyjump"})
REFUSED = {
    "include": "is not followed: import the included file, or put it in here",
    "match": "depends on more than this file: write the hosts as `Host` blocks",
}
_KEYWORD = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\s*=\s*|\s+|$)(.*)", re.DOTALL)
_WORD = re.compile(r"""(?:"([^"]*)"|'([^']*)'|([^\s"']+))(?:\s+|$)""")


class Line(NamedTuple):
    """What one says; either words or what is wrong with it."""

    number: int
    keyword: str
    words: tuple[str, ...]
    wrong: str = ""


def lines_of(raw: bytes) -> Iterator[Line]:
    """Those that count."""
    if len(raw) > MAX_BYTES:
        yield Line(1, "", (), f"is larger than {MAX_BYTES // 1024} KiB")
        return
    for number, line in enumerate(raw.split(b"\n"), start=1):
        try:
            found = _line(number, line.decode("utf-8").strip())
        except UnicodeDecodeError:
            found = Line(number, "", (), "is not UTF-8")
        if found is not None:
            yield found


def _line(number: int, text: str) -> Line | None:
    if not text or text.startswith("#"):
        return None
    parted = _KEYWORD.match(text)
    if parted is None:
        return Line(number, "", (), f"{text[:40]!r} begins with no keyword")
    keyword, rest = parted[1].lower(), parted[2]
    if keyword in REFUSED:
        return Line(number, keyword, (), f"`{parted[1]}` {REFUSED[keyword]}")
    if keyword != "host" and keyword not in SETTINGS:
        return None
    words = _words(rest)
    if words is None:
        return Line(number, keyword, (), "has a quote that does not hold a whole word")
    if not words or (keyword != "host" and len(words) > 1):
        wanted = "a name" if keyword == "host" else "one value"
        return Line(number, keyword, (), f"`{parted[1]}` needs {wanted}")
    return Line(number, keyword, words)


def _words(text: str) -> tuple[str, ...] | None:
    """None when its quotes are not closed."""
    found: list[str] = []
    at = 0
    while at < len(text) and text[at] != "#":
        word = _WORD.match(text, at)
        if word is None:
            return None
        found.append(next(part for part in word.groups() if part is not None))
        at = word.end()
    return tuple(found)
