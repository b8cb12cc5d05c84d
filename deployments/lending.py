"""The Controller's shares of limits, kept on the head's disk: one that starts knows what gateways
hold that nobody can ask any more. Whoever was killed has used its share all the same.

It is written once in `WRITE_EVERY_S`, not before each answer: of a gateway that dies together with
the Controller, what it was lent since may be lent again. It is not forced to the disk either: a
Controller dies more often than its machine. Nothing is decided here.
"""

import logging
import time
from dataclasses import replace
from math import inf
from pathlib import Path

import msgspec

from serving.limits.lease import Lease, ShareReport
from serving.limits.lender import Lender, Lent

WRITE_EVERY_S = 1.0

_log = logging.getLogger(__name__)


class Written(msgspec.Struct, frozen=True):
    #: Unix time: another process, and another boot of the machine, reads it.
    at_s: float
    lent: tuple[Lent, ...]


class Lending:
    """One owner, the Controller, on one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written_s = -inf
        self._is_failing = False
        self._lender = Lender(time.monotonic(), _read(path, time.time()))

    def lend(self, report: ShareReport) -> Lease | None:
        now_s = time.monotonic()
        lease = self._lender.lend(report, now_s)
        if now_s - self._written_s >= WRITE_EVERY_S:
            self._written_s = now_s
            self._write(now_s)
        return lease

    def refused(self) -> dict[str, int]:
        """As `Lender.refused`."""
        return self._lender.refused(time.monotonic())

    def _write(self, now_s: float) -> None:
        draft = self._path.with_suffix(".new")
        try:
            draft.write_bytes(
                msgspec.msgpack.encode(Written(time.time(), self._lender.lent(now_s)))
            )
            draft.replace(self._path)
        except OSError as error:
            if not self._is_failing:
                _log.warning("shares are not kept: %s: %s", self._path, error.strerror or error)
            self._is_failing = True
        else:
            self._is_failing = False


def _read(path: Path, now_s: float) -> tuple[Lent, ...]:
    """What a Controller before this one has lent, as far as it still counts."""
    try:
        written = msgspec.msgpack.decode(path.read_bytes(), type=Written)
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.MsgspecError) as error:
        _log.warning("shares that were lent cannot be read: %s: %s", path, error)
        return ()
    away_s = max(0.0, now_s - written.at_s)
    return tuple(replace(each, left_s=each.left_s - away_s) for each in written.lent)
