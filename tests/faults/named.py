"""Which tests are named after rows of the fault table, read from the source."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_TEST = re.compile(r"^(?:async )?def (test_(\d\d)_\w+)", re.MULTILINE)
#: What a fault is made on, by the folder of its test; the others need no Ray.
RIGS = {"live": "Ray, real engines", "hosts": "several hosts", "cluster": "network namespaces"}
SCRIPTED = "scripted engines"


def rig_of(test: str) -> str:
    """What a test is run on, in the words of the page."""
    return RIGS.get(test.split("/")[1], SCRIPTED)


def named_tests(root: Path) -> dict[int, list[str]]:
    """All of them as pytest names them, by row."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted((root / "tests").rglob("test_*.py")):
        place = path.relative_to(root)
        for name, row in _TEST.findall(path.read_text()):
            found[int(row)].append(f"{place}::{name}")
    return found


def chosen(tests: Iterable[str], words: Iterable[str]) -> list[str]:
    """Those in one of these folders or files of `tests/`; without any word those that need no
    Ray.
    """
    places = tuple(f"tests/{word.removeprefix('tests/')}" for word in words)
    if places:
        return [test for test in tests if test.startswith(places)]
    return [test for test in tests if rig_of(test) == SCRIPTED]
