"""A replica as the gateway talks to it: its connections and the fixed part of a request's head.

To the engine go only headers from this list. The path is a constant of the matched route, never the
caller's.
"""

from enum import Enum

from serving.gateway.outbox import Outbox
from serving.gateway.pool import Pool, Saturated, UpstreamConnection
from serving.gateway.refusal import NotReached, NotTaken, overloaded, unavailable
from serving.routing.breaker import Symptom
from serving.routing.table import Slot


class Path(bytes, Enum):
    """Bytes, since a plain Enum's hash is Python's own code, and every request looks one up."""

    CHAT = b"/v1/chat/completions"
    COMPLETION = b"/v1/completions"
    COUNT = b"/tokenize"


class Upstream:
    def __init__(self, slot: Slot, token: str, outbox: Outbox) -> None:
        self.slot = slot
        self.address = slot.report.address
        self.token = token
        self.pool = Pool(self.address, outbox)
        self._heads = {
            path: b"POST %b HTTP/1.1\r\nhost: %b\r\nauthorization: Bearer %b\r\n"
            b"content-type: application/json\r\nx-request-id: "
            % (path.value, self.address.encode(), token.encode())
            for path in Path
        }

    def request(self, path: Path, request_id: str, body: bytes, extra: bytes = b"") -> bytes:
        """`extra` is whole header lines of ours."""
        return b"%b%b\r\n%bcontent-length: %d\r\n\r\n%b" % (
            self._heads[path],
            request_id.encode(),
            extra,
            len(body),
            body,
        )

    async def connect(self, limit_s: float) -> UpstreamConnection:
        """A new connection. Raises NotTaken."""
        try:
            return await self.pool.connect(limit_s)
        except Saturated:
            raise NotTaken(overloaded()) from None
        except OSError:
            raise NotReached(unavailable(1), Symptom.UNREACHABLE) from None
