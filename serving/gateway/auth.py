"""Who is asking: the Authorization header against the snapshot's keys, with a cache of what was
proven.
"""

import re
import time
from collections.abc import Callable, Iterable
from math import inf

from serving import keys
from serving.bounds import KEY_CACHE
from serving.errors import ApiError, Refusal
from serving.gateway.parser import Head
from serving.snapshot import KeyRecord

#: A key in a query string ends up in logs of proxies: never taken, whatever the header says.
_KEY_IN_QUERY = re.compile(rb"(?i)[?&](api[-_]?key|key|token|access_token)=|sk-")


class Authenticator:
    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._records: dict[str, KeyRecord] = {}
        self._proven: dict[bytes, keys.Proof] = {}

    def apply(self, records: Iterable[KeyRecord]) -> None:
        """Takes over the keys of a snapshot; a revoked one is gone with the next request."""
        known = {record.id: record for record in records}
        if known != self._records:
            self._records = known
            self._proven.clear()

    def holds(self, key_id: str) -> bool:
        """Whether the newest snapshot has this key."""
        return key_id in self._records

    def check(self, head: Head) -> KeyRecord | ApiError:
        value = head.headers.get(b"authorization")
        if value is None:
            return no_key()
        if b"?" in head.target and _KEY_IN_QUERY.search(head.target):
            return bad_key()
        if head.repeated and b"authorization" in head.repeated:
            return bad_key()
        proof = self._proven.get(value)
        if proof is None or (proof.until_s != inf and proof.until_s <= self._wall_clock()):
            return self._prove(value)
        return proof.record

    def _prove(self, value: bytes) -> KeyRecord | ApiError:
        self._proven.pop(value, None)
        proof = keys.verify(keys.parse_header(value), self._records, self._wall_clock())
        if proof is None:
            return bad_key()
        if len(self._proven) >= KEY_CACHE:
            del self._proven[next(iter(self._proven))]
        self._proven[value] = proof
        return proof.record


def no_key() -> ApiError:
    return ApiError(Refusal.NO_KEY, "No API key. Send it as 'Authorization: Bearer <key>'.")


def bad_key() -> ApiError:
    return ApiError(Refusal.INVALID_API_KEY, "This API key is not valid.")


def revoked_key() -> ApiError:
    """To a request that runs while its key is taken away."""
    return ApiError(Refusal.INVALID_API_KEY, "This API key was revoked or has expired.")
