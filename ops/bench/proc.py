"""Reads from /proc which processes belong to a rival, and how much processor time they used.

They are known by their session, or by a mark in their environment. Each alone would miss some: Ray
puts its children in sessions of their own, and setproctitle writes over the environment.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "FLOTILLA_BENCH_MARK"

_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
#: Places among the fields after the command name: fields 6, 14 and 15 of proc(5).
_SESSION, _UTIME, _STIME = 3, 11, 12
#: Guest time comes after the eight counts of a core in /proc/stat, and is part of user time.
_GUEST = 8


@dataclass(frozen=True)
class Process:
    pid: int
    command: str


@dataclass(frozen=True)
class Stat:
    """What we read of /proc/PID/stat."""

    session: int
    #: User and system time of all its threads.
    cpu_s: float


def parse_stat(text: str, ticks_per_s: int = _TICKS_PER_S) -> Stat:
    # The command name may hold spaces and brackets, so fields count from the last bracket.
    fields = text.rpartition(")")[2].split()
    ticks = int(fields[_UTIME]) + int(fields[_STIME])
    return Stat(int(fields[_SESSION]), ticks / ticks_per_s)


def cpu_s(pids: Iterable[int]) -> float:
    """Processor time used so far by these processes; one that has ended counts nothing."""
    return sum(_cpu_of(_PROC / str(pid)) for pid in pids)


def _cpu_of(place: Path) -> float:
    try:
        return parse_stat((place / "stat").read_text()).cpu_s
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def parse_core_busy_s(text: str, core: int, ticks_per_s: int = _TICKS_PER_S) -> float:
    """Seconds this core was not idle, from the text of /proc/stat; the host's share counts."""
    for line in text.splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, *interrupts = map(int, ticks[:_GUEST])
            return (user + nice + system + sum(interrupts)) / ticks_per_s
    raise ValueError(f"no core {core}")


def core_busy_s(core: int) -> float:
    return parse_core_busy_s((_PROC / "stat").read_text(), core)


def family(mark: str, session: int) -> tuple[Process, ...]:
    """The living processes of this session, and those that carry the mark wherever they moved."""
    return tuple(_family(f"{MARK}={mark}".encode(), session))


def _family(entry: bytes, session: int) -> Iterator[Process]:
    for place in _PROC.iterdir():
        if not place.name.isdigit():
            continue
        try:
            stat = parse_stat((place / "stat").read_text())
            if stat.session != session and entry not in (place / "environ").read_bytes():
                continue
            command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        yield Process(int(place.name), command.strip())


def counted(processes: Iterable[Process], parts: tuple[str, ...]) -> tuple[int, ...]:
    """Ids of the processes with one of `parts` in their command; of all when there are none."""
    return tuple(
        process.pid
        for process in processes
        if not parts or any(part in process.command for part in parts)
    )
