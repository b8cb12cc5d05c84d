"""The key file of the time before there was a ledger, taken over once."""

import json
import logging
from pathlib import Path

from sqlalchemy import Connection

from deployments.ledger import keys
from deployments.ledger.acts import DEFAULT_TENANT
from deployments.ledger.errors import LedgerUnusable
from serving.snapshot import KeyRecord

KEY_FILE = "keys.json"
#: What the file is called afterwards; nobody reads it again.
TAKEN = "keys.json.taken-over"

_log = logging.getLogger(__name__)


def take_over(connection: Connection, home: Path) -> None:
    """Into the default tenant. A key that the ledger knows stays as the ledger has it, so doing
    this again after a crash brings no revoked key back. Raises LedgerUnusable.
    """
    path = home / KEY_FILE
    if path.exists():
        added = sum(keys.add(connection, record) for record in _read(path))
        _log.info("took %d keys over from %s", added, path)


def put_away(home: Path) -> None:
    """When what was taken over is on disk."""
    path = home / KEY_FILE
    if path.exists():
        path.rename(home / TAKEN)


def _read(path: Path) -> list[KeyRecord]:
    try:
        return [
            KeyRecord(
                id=str(entry["id"]),
                name=str(entry["name"]),
                digest=bytes.fromhex(entry["digest"]),
                created_s=int(entry["created_s"]),
                tenant=DEFAULT_TENANT,
            )
            for entry in json.loads(path.read_text(encoding="utf-8"))
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise LedgerUnusable(
            f"{path} is no key file of Flotilla: mend it, or move it away to begin without keys"
        ) from error
