"""YAML as we accept it: a bounded subset, and the line of every key.

Rules
1. One document of UTF-8, at most 256 KiB and 20 levels deep; read off the flat stream of events
   before anything is built, so depth and size cost no stack and no memory.
2. No anchors, aliases, merge keys or tags: a reader sees what is there, and nothing can grow.
3. A key stands once in its mapping, and is text.
4. A number is what it looks like.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event, ScalarEvent
from yaml.nodes import MappingNode, Node, SequenceNode

from cluster.problem import Path, Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
#: Numbers to the base of 8 and of 60, which few people mean.
SURPRISING = re.compile(r"[-+]?0[0-7_]+|[-+]?[0-9_]+(:[0-9_]+)+")


@dataclass(slots=True)
class Document:
    """What a text says, where it says it, and what is wrong with it as YAML."""

    file: str
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def where(self, path: Path) -> str:
        """`file:line` of the path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.file}:{self.lines.get(path, 1)}"

    def placed(self, found: Iterable[Problem]) -> list[Problem]:
        """The problems with their lines, in the order of the file."""
        known = [replace(problem, where=self.where(problem.path)) for problem in found]
        return sorted(known, key=lambda problem: int(problem.where.rsplit(":", 1)[1]))


def read_file(path: FilePath) -> Document:
    """Reads a document from a file; one that cannot be opened is a problem too."""
    try:
        with path.open("rb") as file:
            return read(file.read(MAX_BYTES + 1), str(path))
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        return Document(str(path), problems=[Problem((), reason, str(path))])


def read(raw: bytes, file: str) -> Document:
    """Reads a document; look at its `problems` before its `value`."""
    document = Document(file)
    try:
        text = _text(raw)
        refused = next(_refused(text), None)
        if refused:
            raise refused
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            document.value = _build(node, (), document)
    except _Refused as error:
        document.problems.append(Problem((), error.message, f"{file}:{error.line}"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        document.problems.append(Problem((), f"not YAML: {error.problem}", f"{file}:{line}"))
    except (yaml.YAMLError, ValueError) as error:
        message = f"not YAML: {' '.join(str(error).split())[:200]}"
        document.problems.append(Problem((), message, f"{file}:1"))
    return document


class _Refused(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def _text(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise _Refused(1, f"is larger than {MAX_BYTES // 1024} KiB")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _Refused(line, "is not UTF-8") from error


def _refused(text: str) -> Iterator[_Refused]:
    """What of YAML we do not take (rules 1 and 2)."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = _line(event)
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > MAX_DEPTH:
            yield _Refused(line, f"is nested deeper than {MAX_DEPTH} levels")
        if documents > 1:
            yield _Refused(line, "holds more than one document")
        if _is_extra(event):
            yield _Refused(
                line, "anchors, aliases, merge keys and tags are not taken: write it out"
            )


def _is_extra(event: Event) -> bool:
    if isinstance(event, AliasEvent):
        return True
    if isinstance(event, ScalarEvent | CollectionStartEvent):
        return event.anchor is not None or event.tag is not None or _is_merge(event)
    return False


def _is_merge(event: Event) -> bool:
    return isinstance(event, ScalarEvent) and event.value == "<<" and not event.style


def _build(node: Node, path: Path, document: Document) -> Any:
    document.lines.setdefault(path, _line(node))
    if isinstance(node, MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, SequenceNode):
        items = enumerate(node.value)
        return [_build(item, (*path, index), document) for index, item in items]
    value = _scalar(node)
    if isinstance(value, int) and SURPRISING.fullmatch(node.value):
        message = f"`{node.value}` means {value} in YAML: write that, or put it in quotes"
        document.problems.append(Problem(path, message, f"{document.file}:{_line(node)}"))
    return value


def _mapping(node: MappingNode, path: Path, document: Document) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = _line(key_node)
        key = None if isinstance(key_node, MappingNode | SequenceNode) else _scalar(key_node)
        if not isinstance(key, str):
            message = f"the key `{key_node.value!s:.40}` is not text: put it in quotes"
            document.problems.append(Problem(path, message, f"{document.file}:{line}"))
            continue
        if key in built:
            first = document.lines[(*path, key)]
            message = f"stands here again, and first on line {first}"
            document.problems.append(Problem((*path, key), message, f"{document.file}:{line}"))
            continue
        document.lines[(*path, key)] = line
        built[key] = _build(value_node, (*path, key), document)
    return built


def _line(at: Node | Event) -> int:
    return at.start_mark.line + 1 if at.start_mark else 1


def _scalar(node: Node) -> Any:
    return yaml.constructor.SafeConstructor().construct_object(node)
