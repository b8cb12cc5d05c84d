"""Bytes of a client connection -> whole requests, inside bounds. No I/O; llhttp does the grammar.

llhttp refuses bad lengths, folded headers, Content-Length beside Transfer-Encoding and bare line
feeds. What it lets through and we do not: no Host or two, another transfer coding than `chunked`,
unbounded headers, URLs and chunk extensions, upgrades.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import cast

import httptools

from serving import bounds
from serving.errors import ApiError, Refusal
from serving.gateway.patience import ENDLESS, WAIT_HEADERS, Patience
from serving.gateway.route import Kind
from serving.limits.account import Account
from serving.limits.terms import Priority
from serving.snapshot import KeyRecord


class Phase(Enum):
    """What the next byte belongs to."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()


@dataclass(slots=True)
class Head:
    """The request line and the headers we look at; all others are counted and forgotten."""

    method: bytes = b""
    target: bytes = field(default=b"", repr=False)
    headers: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    #: Wanted headers that came more than once.
    repeated: set[bytes] | None = None
    is_http_10: bool = False
    keep_alive: bool = False
    #: Noted by the check of the head.
    kind: Kind | None = None
    key: KeyRecord | None = None
    #: What the caller claims, of what its key may.
    priority: Priority | None = None
    #: How long the caller waits.
    patience: Patience = ENDLESS
    #: Where the key, its tenant or both are limited.
    accounts: tuple[Account, ...] = ()

    @property
    def holder(self) -> str:
        """Whose request it is; empty where nobody needs a key."""
        return "" if self.key is None else self.key.holder


@dataclass(slots=True)
class Message:
    """A whole request, or one whose head alone was refused."""

    head: Head
    body: bytes = field(repr=False)
    refused: ApiError | None = None


_WANTED = frozenset(
    (
        b"authorization",
        b"content-type",
        b"content-encoding",
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"host",
        b"x-request-id",
        b"x-session-id",
        b"traceparent",
        b"tracestate",
        b"x-flotilla-priority",
        *WAIT_HEADERS,
    )
)


#: Nothing goes by them alone, or they are looked at where they are used.
_MAY_REPEAT = {b"authorization", b"x-request-id", b"expect", b"traceparent", b"tracestate"}


class _Stop(Exception):
    """Raised in a callback to end parsing."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


class RequestParser:
    def __init__(self, check_head: Callable[[Head], ApiError | None]) -> None:
        self._check_head = check_head
        self._llhttp = httptools.HttpRequestParser(self)
        self.phase = Phase.IDLE
        #: Whole requests that nobody has taken yet, oldest first.
        self.messages: list[Message] = []
        #: Why nothing more can be read from this connection.
        self.fault: ApiError | None = None
        #: The verdict on the head of the request under way.
        self.refused: ApiError | None = None
        self.head = Head()
        self._count = 0
        self._head_bytes = 0
        self._raw_bytes = 0
        self._read_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._is_chunked = False

    def feed(self, data: bytes) -> None:
        self._read_bytes = len(data)
        self._raw_bytes += len(data)
        try:
            self._llhttp.feed_data(data)
            self._check_swallowed()
        except _Stop as stop:
            self.fault = stop.error
        except httptools.HttpParserCallbackError as error:
            self.fault = _stopped(error)
        except httptools.HttpParserError:
            self.fault = _bad("The request is not valid HTTP/1.1.")

    def close(self) -> None:
        """Nothing is fed any more. llhttp knows our callbacks, and so holds what they hold, half a
        body perhaps, until it is let go.
        """
        self._llhttp = cast(httptools.HttpRequestParser, None)

    @property
    def is_refusing(self) -> bool:
        return self.fault is not None or self.refused is not None

    @property
    def wants_continue(self) -> bool:
        """The client waits for a word before it sends the body, and may have it."""
        head = self.head
        expects = head.headers.get(b"expect", b"").lower() == b"100-continue"
        return self.phase is Phase.BODY and expects and not head.is_http_10

    def _check_swallowed(self) -> None:
        """Bounds on what llhttp takes without a callback: half a header line, a chunk's
        extension.
        """
        if self.phase is Phase.HEAD and self._raw_bytes > bounds.HEADER_BYTES:
            raise _Stop(_headers_too_large())
        if self.phase is Phase.BODY and self._is_chunked:
            framing = self._raw_bytes - self._head_bytes - self._body_bytes
            if framing > bounds.CHUNK_OVERHEAD_BYTES + 8 * self._body_bytes:
                raise _Stop(_bad("The chunked body has more framing than content."))

    # llhttp's callbacks
    def on_message_begin(self) -> None:
        self.phase = Phase.HEAD
        self.head = Head()
        self.refused = None
        self._count = self._head_bytes = self._body_bytes = 0
        self._raw_bytes = self._read_bytes
        self._body = []
        self._is_chunked = False

    def on_url(self, part: bytes) -> None:
        head = self.head
        head.target += part
        self._head_bytes += len(part)
        if len(head.target) > bounds.URL_BYTES:
            raise _Stop(_large(Refusal.URL_TOO_LARGE, "URL", bounds.URL_BYTES))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count += 1
        self._head_bytes += len(name) + len(value) + 4
        if self._count > bounds.HEADER_COUNT or self._head_bytes > bounds.HEADER_BYTES:
            raise _Stop(_headers_too_large())
        if self.phase is Phase.BODY:
            return  # a trailer: the head was judged without it
        name = name.lower()
        if name in _WANTED:
            headers = self.head.headers
            if name in headers:
                self.head.repeated = {name, *(self.head.repeated or ())}
            headers[name] = value

    def on_headers_complete(self) -> None:
        head, llhttp = self.head, self._llhttp
        head.method = llhttp.get_method()
        version = llhttp.get_http_version()
        head.is_http_10 = version == "1.0"
        head.keep_alive = llhttp.should_keep_alive()
        self.phase = Phase.BODY
        fault = _UPGRADE if llhttp.should_upgrade() else framing_fault(head, version)
        if fault is not None:
            raise _Stop(fault)
        self._is_chunked = b"transfer-encoding" in head.headers
        self.refused = self._check_head(head)

    def on_body(self, part: bytes) -> None:
        self._body_bytes += len(part)
        if self._body_bytes > bounds.BODY_BYTES:
            raise _Stop(body_too_large())
        if self.refused is None:
            self._body.append(part)

    def on_message_complete(self) -> None:
        self._check_swallowed()
        body = self._body
        whole = body[0] if len(body) == 1 else b"".join(body)
        self.messages.append(Message(self.head, whole, self.refused))
        self.phase = Phase.IDLE
        self.refused = None
        self._body = []


def framing_fault(head: Head, version: str) -> ApiError | None:
    headers, repeated = head.headers, head.repeated
    if version not in ("1.1", "1.0"):
        return _bad("Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    if b"host" not in headers and not head.is_http_10:
        return _bad("The Host header is missing.")
    if repeated and not repeated <= _MAY_REPEAT:
        return _bad("A header that may come once came more than once.")
    if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        return _bad("The only transfer coding understood is chunked.")
    if head.is_http_10 and b"transfer-encoding" in headers:
        return _bad("HTTP/1.0 has no transfer codings.")
    return None


def _stopped(error: BaseException) -> ApiError:
    """The refusal a callback raised; anything else is a bug and goes on up."""
    cause = error.__context__
    if isinstance(cause, _Stop):
        return cause.error
    raise error


def body_too_large() -> ApiError:
    return _large(Refusal.BODY_TOO_LARGE, "body", bounds.BODY_BYTES)


def _headers_too_large() -> ApiError:
    message = f"The headers are over {bounds.HEADER_COUNT} lines or {bounds.HEADER_BYTES} bytes."
    return ApiError(Refusal.HEADERS_TOO_LARGE, message)


def _large(refusal: Refusal, what: str, limit: int) -> ApiError:
    return ApiError(refusal, f"The {what} is over the limit of {limit} bytes.")


def _bad(message: str) -> ApiError:
    return ApiError(Refusal.BAD_FRAMING, message)


#: llhttp would stop reading at the head of one, body or not.
_UPGRADE = _bad("Protocol upgrades are not offered; send plain HTTP/1.1.")
