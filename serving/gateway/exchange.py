"""One request of a client connection and the way to answer it.

An answer is one `reply`, or `start`, any number of `write` and one `finish` or `cut`. After the
client has left all of them do nothing, so that whoever answers need not look.
"""

import http
import re
from typing import TYPE_CHECKING, Protocol

from serving.errors import ApiError, Refusal, event, to_http
from serving.gateway.chunk import chunk
from serving.gateway.parser import Head, Message
from serving.limits.headers import lines

if TYPE_CHECKING:
    from serving.gateway.tracing import Trace
    from serving.in_flight import RequestInFlight

_OWN_ID = re.compile(rb"[A-Za-z0-9_-]{1,128}")
_STATUS = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in http.HTTPStatus
}
_COMMON = b"cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
_TYPE = b"content-type: application/json\r\n"
_JSON = _STATUS[200] + _TYPE + _COMMON
_STREAM = _STATUS[200] + b"content-type: text/event-stream; charset=utf-8\r\n" + _COMMON
_CLOSE = b"connection: close\r\n"
_KEEP = b"connection: keep-alive\r\n"


class Wire(Protocol):
    """What an exchange needs of its connection."""

    def write(self, data: bytes) -> None: ...
    def finished(self, keep_alive: bool) -> None: ...
    def new_id(self) -> str: ...


class Job(Protocol):
    """The work behind an exchange, told what happens on the client's side."""

    @property
    def started_s(self) -> float: ...
    def seen(self, now_s: float) -> "RequestInFlight": ...
    def client_left(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def sweep(self, now_s: float) -> None: ...
    def stop(self, reason: ApiError) -> None: ...


class Exchange:
    __slots__ = (
        "_is_chunked",
        "_wire",
        "body",
        "head",
        "id",
        "is_started",
        "job",
        "key_id",
        "refusal",
        "refused",
        "status",
        "tenant",
        "trace",
    )

    def __init__(self, wire: Wire, message: Message) -> None:
        self._wire: Wire | None = wire
        self.head: Head = message.head
        self.body = message.body
        self.refused = message.refused
        #: Ours: the engine, the ledger and retries know the request by it.
        self.id = wire.new_id()
        key = message.head.key
        self.key_id = "" if key is None else key.id
        self.tenant = "" if key is None else key.tenant
        self.job: Job | None = None
        self.is_started = False
        #: Of the answer; 0 before, and when the client left before there was one.
        self.status = 0
        #: What the answer, or the end of its stream, says is wrong.
        self.refusal: Refusal | None = None
        #: None where nothing is traced.
        self.trace: Trace | None = None
        self._is_chunked = False

    @property
    def holder(self) -> str:
        return self.head.holder

    @property
    def session(self) -> bytes | None:
        """As the caller names it; checked with the head."""
        return self.head.headers.get(b"x-session-id")

    @property
    def is_gone(self) -> bool:
        return self._wire is None

    @property
    def client_id(self) -> str:
        """The caller's own id of its request; empty where it gave none, or one that is odd."""
        given = self.head.headers.get(b"x-request-id")
        return "" if given is None or not _OWN_ID.fullmatch(given) else given.decode()

    def _own_lines(self) -> bytes:
        """Where limits stand, what becomes of the connection, and the caller's id of the request,
        otherwise ours; for correlation only.
        """
        head = self.head
        standing = lines(head.accounts) if head.accounts else b""
        kept = _KEEP if head.is_http_10 else b""
        connection = kept if head.keep_alive else _CLOSE
        shown = (self.client_id or self.id).encode()
        return b"%b%bx-request-id: %b\r\n" % (standing, connection, shown)

    # A whole answer
    def reply(self, body: bytes, extra: bytes = b"", status: int = 200) -> None:
        """JSON; `extra` is whole header lines."""
        start = _JSON if status == 200 else _STATUS[status] + _TYPE + _COMMON
        self._send(status, start, extra, body)

    def fail(self, error: ApiError) -> None:
        status, headers, body = to_http(error)
        if error.row.closes:
            self.head.keep_alive = False
        lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
        self._refused(error)
        self._send(status, _STATUS[status] + _COMMON, lines, body)

    def _send(self, status: int, start: bytes, extra: bytes, body: bytes) -> None:
        wire = self._wire
        if wire is None:
            return
        self.is_started = True
        self.status = status
        shown = b"" if self.head.method == b"HEAD" else body
        wire.write(
            b"%b%b%bcontent-length: %d\r\n\r\n%b"
            % (start, extra, self._own_lines(), len(body), shown)
        )
        self._end(wire)

    # A stream
    def start(self, first: bytes, extra: bytes = b"") -> None:
        """The status line with the first bytes of the stream, if any, in one write."""
        wire = self._wire
        if wire is None:
            return
        self.is_started = True
        self.status = 200
        self._is_chunked = not self.head.is_http_10
        if not self._is_chunked:
            self.head.keep_alive = False
        coding = b"transfer-encoding: chunked\r\n" if self._is_chunked else b""
        head = b"%b%b%b%b\r\n" % (_STREAM, extra, coding, self._own_lines())
        wire.write(head + self._framed(first) if first else head)

    def write(self, data: bytes) -> None:
        wire = self._wire
        if wire is not None and data:
            wire.write(chunk(data) if self._is_chunked else data)

    def finish(self, data: bytes = b"") -> None:
        """The last bytes and the end of the stream."""
        wire = self._wire
        if wire is None:
            return
        last = self._framed(data) if data else b""
        wire.write(last + b"0\r\n\r\n" if self._is_chunked else last)
        self._end(wire)

    def cut(self, error: ApiError) -> None:
        """The stream failed: one error event is its end. The connection stays, unless the error
        closes it: its head announced no close, so the client may have sent its next request.
        """
        self._refused(error)
        self.head.keep_alive &= not error.row.closes
        self.finish(event(error))

    def _refused(self, error: ApiError) -> None:
        if self._wire is not None:
            self.refusal = error.refusal

    def _framed(self, data: bytes) -> bytes:
        return chunk(data) if self._is_chunked else data

    def _end(self, wire: Wire) -> None:
        self._wire = None
        wire.finished(self.head.keep_alive)
        self.job = None

    def client_left(self) -> None:
        self._wire = None
        job, self.job = self.job, None
        if job is not None:
            job.client_left()
