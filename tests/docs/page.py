"""The pages of the site, cut into their blocks. Each block of commands says in a comment above it
which test runs it:

    <!-- run: alone -->          here, without a cluster, in one folder for the whole page
    <!-- run: fleet -->          on the fleet of `tests/live`, with its own port, key and models
    <!-- run by: FILE::NAME -->  that test, fixture or helper runs the same commands in its own way
    <!-- file: NAME -->          not a command: the page's folder holds it as a file from here on

`run: alone, status 2` ends with that status; `file: NAME, wrong` is a file that is refused.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r" *```(\w*).*")
_MARK = re.compile(r" *<!-- (run|run by|file): (.+) -->")


@dataclass(frozen=True, slots=True)
class Said:
    """One command of a block and what the page prints under it; nothing where it prints nothing."""

    command: str
    answer: str

    def is_answered_by(self, printed: str) -> bool:
        """`...` stands for anything, as in doctests."""
        return not self.answer or bool(
            re.fullmatch(re.escape(self.answer).replace(r"\.\.\.", ".*"), _bare(printed), re.DOTALL)
        )


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two fences."""

    page: str
    line: int
    language: str
    #: `run`, `run by`, `file` or nothing, and what follows it.
    verb: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def words(self) -> list[str]:
        return self.mark.split(", ")

    @property
    def status(self) -> int:
        said = [word for word in self.words if word.startswith("status ")]
        return int(said[0].removeprefix("status ")) if said else 0

    def runs(self, where: str) -> bool:
        return self.verb == "run" and self.words[0] == where

    def commands(self) -> Iterator[Said]:
        """A command begins with `$ ` and goes on behind a backslash."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            found = re.match(r"((?:.*\\\n)*.*)\n?((?:.|\n)*)", part)
            assert found is not None
            yield Said(re.sub(r"\\\n\s*", "", found[1]), _bare(found[2]))


def _bare(text: str) -> str:
    """Without the blanks at ends of lines, which no reader sees."""
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip()


def pages() -> list[str]:
    """The README and what is written for the site; documents beside the code are not among them."""
    found = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    return ["README.md", *sorted(found)]


def blocks(page: str) -> list[Block]:
    return list(blocks_of((ROOT / page).read_text(), page))


def blocks_of(text: str, page: str) -> Iterator[Block]:
    inside: list[str] | None = None
    began, language, verb, mark, above = 0, "", "", "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        fence = _FENCE.fullmatch(line)
        if inside is None and fence:
            marked = _MARK.fullmatch(above)
            verb, mark = (marked[1], marked[2]) if marked else ("", "")
            inside, began, language = [], number, fence[1]
        elif inside is not None and fence:
            yield Block(page, began, language, verb, mark, "\n".join(inside) + "\n")
            inside = None
        elif inside is not None:
            inside.append(line)
        above = line


def names_in(file: Path) -> set[str]:
    """The functions of a test module, those of classes too."""
    tree = ast.walk(ast.parse(file.read_text()))
    return {node.name for node in tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
