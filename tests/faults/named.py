"""Which tests are named after rows of the fault table, read from the source."""

import re
from collections import defaultdict
from pathlib import Path

_TEST = re.compile(r"^(?:async )?def (test_(\d\d)_\w+)", re.MULTILINE)
#: Ray, real engines, several hosts: not run for every change.
_APART = ("live", "hosts")


def named_tests(root: Path) -> dict[int, list[str]]:
    """As pytest names them, by row; without those that need Ray."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted((root / "tests").rglob("test_*.py")):
        place = path.relative_to(root)
        if place.parts[1] not in _APART:
            for name, row in _TEST.findall(path.read_text()):
                found[int(row)].append(f"{place}::{name}")
    return found
