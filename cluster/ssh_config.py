"""An OpenSSH client config as a list of hosts. Pure.

Rules
1. A host is the first name of a `Host` line, where that is no pattern and gets a HostName; further
   names of the line are its aliases. What a host is for is never read from its name.
2. As in OpenSSH, every block that matches a host says something of it, and the first to give a
   value wins.
3. What a file does not say by itself is refused with its line: `Include`, `Match`, and `%` tokens
   other than %h (the name), %d (the home directory) and %%.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from typing import NamedTuple

from cluster.problem import Problem
from cluster.ssh_lines import Line, lines_of

#: Of all `Host` lines together; several of the largest 1-Click Clusters have fewer.
MAX_NAMES = 1024
NO_VALUE = "none"
_TOKEN = re.compile(r"%(.?)")


class Setting(NamedTuple):
    """A value, and the line that gives it."""

    value: str
    line: int


@dataclass(frozen=True, slots=True)
class SshHost:
    """A host with all that its blocks say of it."""

    names: tuple[str, ...]
    line: int
    #: By keyword, in lower case.
    settings: Mapping[str, Setting]

    @property
    def name(self) -> str:
        return self.names[0]

    def get(self, keyword: str) -> str | None:
        """Its value; `none` is OpenSSH's word for no value."""
        found = self.settings.get(keyword)
        return None if found is None or found.value.lower() == NO_VALUE else found.value


@dataclass(slots=True)
class _Block:
    names: tuple[str, ...]
    line: int
    settings: dict[str, Setting] = field(default_factory=dict)
    wanted: list[re.Pattern[str]] = field(init=False)
    unwanted: list[re.Pattern[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.wanted = [_regex(name) for name in self.names if not name.startswith("!")]
        self.unwanted = [_regex(name[1:]) for name in self.names if name.startswith("!")]

    def matches(self, name: str) -> bool:
        if any(pattern.match(name) for pattern in self.unwanted):
            return False
        return any(pattern.match(name) for pattern in self.wanted)


def read_hosts(raw: bytes, file: str) -> tuple[list[SshHost], list[Problem]]:
    """The hosts of a config, and all that is wrong with it; take the first only without the
    second.
    """
    lines = list(lines_of(raw))
    wrong = [Problem((), line.wrong, f"{file}:{line.number}") for line in lines if line.wrong]
    names = sum(len(line.words) for line in lines if line.keyword == "host")
    if names > MAX_NAMES:
        return [], [Problem((), f"has more than {MAX_NAMES} names of hosts", f"{file}:1")]
    blocks = _blocks(line for line in lines if not line.wrong)
    hosts = list(_hosts(blocks))
    found = [*_repeated(blocks), *(each for host in hosts for each in _tokens(host))]
    wrong += [Problem((), text, f"{file}:{line}") for line, text in found]
    return [_expanded(host) for host in hosts], wrong


def _blocks(lines: Iterable[Line]) -> list[_Block]:
    """What stands before the first `Host` is for all."""
    blocks = [_Block(("*",), 1)]
    for line in lines:
        if line.keyword == "host":
            blocks.append(_Block(line.words, line.number))
        else:
            setting = Setting(line.words[0], line.number)
            blocks[-1].settings.setdefault(line.keyword, setting)
    return blocks


def _hosts(blocks: list[_Block]) -> Iterator[SshHost]:
    seen: set[str] = set()
    for block in blocks:
        names = tuple(name for name in block.names if not _is_pattern(name))
        if not names or names[0] != block.names[0] or names[0] in seen:
            continue
        seen.add(names[0])
        settings: dict[str, Setting] = {}
        for other in blocks:
            if other.matches(names[0]):
                settings = {**other.settings, **settings}
        if "hostname" in settings:
            yield SshHost(names, block.line, settings)


def _repeated(blocks: list[_Block]) -> Iterator[tuple[int, str]]:
    """A name may stand again to say more, not to be somewhere else."""
    first: dict[str, int] = {}
    for block in blocks:
        if "hostname" in block.settings and not _is_pattern(block.names[0]):
            line = first.setdefault(block.names[0], block.line)
            if line != block.line:
                yield block.line, f"`Host {block.names[0]}` stands on line {line} already"


def _tokens(host: SshHost) -> Iterator[tuple[int, str]]:
    for value, line in host.settings.values():
        for token in _TOKEN.findall(value):
            if token not in ("h", "d", "%"):
                yield line, f"`%{token}` is not taken: write it out"


def _expanded(host: SshHost) -> SshHost:
    means = {"h": host.name, "d": "~", "%": "%"}
    settings = {
        keyword: Setting(_TOKEN.sub(lambda token: means.get(token[1], ""), value), line)
        for keyword, (value, line) in host.settings.items()
    }
    return SshHost(host.names, host.line, settings)


def _is_pattern(name: str) -> bool:
    return name.startswith("!") or "*" in name or "?" in name


def _regex(pattern: str) -> re.Pattern[str]:
    """OpenSSH knows `*` and `?`, and no brackets."""
    return re.compile(translate(pattern.replace("[", "[[]")))
