"""Documents that live beside the code and are pages of the site too, under the same paths, so that
links between them hold in both places.
"""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Files that pages link to come along.
_DOCUMENTS = (
    "CHANGELOG.md",
    "deployments/demo/README.md",
    "ops/*.md",
    "ops/bench/*.md",
    "ops/decisions/*.md",
    "ops/runbooks/*.md",
    "ops/front_door/*",
    "ops/grafana/*",
    "ops/prometheus/*",
    "ops/dashboard/screenshots/*",
)


def documents() -> Iterator[str]:
    """Their paths in the repository."""
    for pattern in _DOCUMENTS:
        yield from sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))


def listing(folder: str, root: str) -> str:
    """The documents of a folder, each by its title; `root` leads to the site's root."""
    found = (path for path in documents() if path.startswith(f"{folder}/"))
    return "\n".join(f"- [{_title(path)}]({root}{path})" for path in found) + "\n"


def _title(path: str) -> str:
    """The first heading."""
    lines = (ROOT / path).read_text().splitlines()
    return next(line.removeprefix("# ") for line in lines if line.startswith("# "))
