"""The fleets that ran on this cluster, the newest few, on the head's disk: what a rollback goes
back to. It decides nothing; the Controller writes down what it was told, and who reads the file
needs nobody.

Rules
1. A fleet is written down when the Controller is told of it, which a deploy does when its replicas
   are ready: one that failed on the way is not among them, but for a cluster's first.
2. The same fleet again, as a Controller that starts is told, is no new one.
3. A disk that is full, or a file that cannot be read, costs fleets to go back to and nothing else.
"""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from deployments.deployed import fleet_config
from deployments.errors import FileInvalid
from deployments.fleet import Fleet
from serving.keystore import write_private

FILE_NAME = "fleets.json"
#: A fleet file has 256 KiB at most.
MOST = 10

_log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """What the file holds of a fleet."""

    at_s: float
    fleet: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PastFleet:
    """A fleet, and since when it ran."""

    #: The same for the same fleet.
    id: str
    at_s: float
    fleet: Fleet


_decoder = msgspec.json.Decoder(list[Kept])


class PastFleets:
    """One writer, the Controller."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def add(self, fleet: Fleet, at_s: float) -> None:
        """Writes down what runs from now on."""
        before, now = self._kept(), Kept(at_s, fleet_config(fleet))
        if before and before[0].fleet == now.fleet:
            return
        text = msgspec.json.encode([now, *before][:MOST]).decode()
        try:
            write_private(self._path, text)
        except OSError as error:
            _log.warning("fleets are not written: %s: %s", self._path, error.strerror)

    def newest(self) -> tuple[PastFleet, ...]:
        """Those that this version can still read, newest first."""
        return tuple(past for each in self._kept() if (past := _past(each)) is not None)

    def _kept(self) -> list[Kept]:
        try:
            return _decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("%s holds no fleets: %s", self._path, error)
            return []


def digest_of(values: dict[str, Any]) -> str:
    """SHA-256 of a fleet's values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _past(kept: Kept) -> PastFleet | None:
    try:
        return PastFleet(digest_of(kept.fleet), kept.at_s, Fleet.model_validate(kept.fleet))
    except (ValidationError, FileInvalid):
        return None
