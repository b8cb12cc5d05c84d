"""Who is asking: the Authorization header against the snapshot's keys, with a cache of what was
proven.
"""

import re
from collections.abc import Iterable

from serving import keys
from serving.bounds import KEY_CACHE
from serving.errors import ApiError, Refusal
from serving.gateway.parser import Head
from serving.snapshot import KeyRecord

#: A key in a query string ends up in logs of proxies: never taken, whatever the header says.
_KEY_IN_QUERY = re.compile(rb"(?i)[?&](api[-_]?key|key|token|access_token)=|sk-")


class Authenticator:
    def __init__(self) -> None:
        self._records: dict[str, KeyRecord] = {}
        self._proven: dict[bytes, KeyRecord] = {}

    def apply(self, records: Iterable[KeyRecord]) -> None:
        """Takes over the keys of a snapshot; a revoked one is gone with the next request."""
        known = {record.id: record for record in records}
        if known != self._records:
            self._records = known
            self._proven.clear()

    def check(self, head: Head) -> KeyRecord | ApiError:
        value = head.headers.get(b"authorization")
        if value is None:
            return no_key()
        if b"?" in head.target and _KEY_IN_QUERY.search(head.target):
            return bad_key()
        if head.repeated and b"authorization" in head.repeated:
            return bad_key()
        return self._proven.get(value) or self._prove(value)

    def _prove(self, value: bytes) -> KeyRecord | ApiError:
        record = keys.verify(keys.parse_header(value), self._records)
        if record is None:
            return bad_key()
        if len(self._proven) >= KEY_CACHE:
            del self._proven[next(iter(self._proven))]
        self._proven[value] = record
        return record


def no_key() -> ApiError:
    return ApiError(Refusal.NO_KEY, "No API key. Send it as 'Authorization: Bearer <key>'.")


def bad_key() -> ApiError:
    return ApiError(Refusal.INVALID_API_KEY, "This API key is not valid.")
