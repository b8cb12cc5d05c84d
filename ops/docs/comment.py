"""What the source says of a class's fields and of an enum's members: the `#:` comments above them.
The references are made from these, so a field is described once, where it is declared.
"""

import inspect
import re
from collections.abc import Iterator

_COMMENT = re.compile(r"\s+#: ?(.*)")
_DECLARED = re.compile(r"    (\w+)\s*(?::|=)")
#: Nobody describes fields of theirs to a reader of ours.
_OURS = ("cluster", "serving", "deployments", "ops")


def meanings(owner: type) -> dict[str, str]:
    """The comment of each name, those of base classes too; names without one are left out."""
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__):
        if base.__module__.split(".")[0] in _OURS:
            found.update(_declared(inspect.getsource(base)))
    return found


def _declared(source: str) -> Iterator[tuple[str, str]]:
    said: list[str] = []
    for line in source.splitlines():
        if comment := _COMMENT.fullmatch(line):
            said.append(comment[1])
            continue
        declared = _DECLARED.match(line)
        if declared and said:
            yield declared[1], " ".join(said)
        said = []
