"""The only way into the engine's HTTP app: a closed list of routes behind the internal token. The
metrics have a second one, which opens nothing else.

vLLM's own key check leaves many routes open, so nothing of its app is reachable except through
here.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving.metrics.token import metrics_token

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

METRICS = ("GET", b"/metrics")
ROUTES = frozenset(
    {
        ("POST", b"/v1/chat/completions"),
        ("POST", b"/v1/completions"),
        ("POST", b"/tokenize"),
        ("GET", b"/health"),
        METRICS,
    }
)
#: Above the gateway's own limit: a body that re-encodes a little larger must still pass.
BODY_LIMIT_BYTES = 12 * 1024 * 1024
NOT_FOUND = (404, b'{"error":"not found"}')
UNAUTHORIZED = (401, b'{"error":"unauthorized"}')
TOO_LARGE = (413, b'{"error":"too large"}')


class Guard:
    """Counts what passes, so that a drain knows when the last request has ended."""

    def __init__(self, app: App, replica_id: str) -> None:
        self._app = app
        self._identity = (b"x-flotilla-replica", replica_id.encode())
        self._tokens: tuple[bytes, ...] = ()
        #: Those that open the metrics and nothing else.
        self._metrics_tokens: tuple[bytes, ...] = ()
        self.in_flight = 0
        #: Set while no request is under way.
        self.idle = asyncio.Event()
        self.idle.set()

    def accept_tokens(self, tokens: tuple[str, ...]) -> None:
        """The tokens that open the door from now on; none means that nobody enters."""
        self._tokens = tuple(f"Bearer {token}".encode() for token in tokens)
        self._metrics_tokens = tuple(f"Bearer {metrics_token(each)}".encode() for each in tokens)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # the app has no WebSocket route that we offer
        refusal = self._refusal(scope)
        if refusal is not None:
            await self._refuse(send, *refusal)
            return
        self._enter()
        try:
            await self._app(scope, receive, self._signed(send))
        finally:
            self._leave()

    def _enter(self) -> None:
        self.in_flight += 1
        self.idle.clear()

    def _leave(self) -> None:
        self.in_flight -= 1
        if not self.in_flight:
            self.idle.set()

    def _refusal(self, scope: Scope) -> tuple[int, bytes] | None:
        headers = dict(scope["headers"])
        route = scope["method"], scope["raw_path"]
        tokens = self._tokens + self._metrics_tokens if route == METRICS else self._tokens
        if not _is_one_of(tokens, headers.get(b"authorization", b"")):
            return UNAUTHORIZED
        if route not in ROUTES:
            return NOT_FOUND
        length = headers.get(b"content-length", b"0")
        if b"transfer-encoding" in headers or not _is_within(length, BODY_LIMIT_BYTES):
            return TOO_LARGE
        return None

    def _signed(self, send: Send) -> Send:
        async def send_signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], self._identity]
            await send(message)

        return send_signed

    async def _refuse(self, send: Send, status: int, body: bytes) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            self._identity,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _is_one_of(tokens: tuple[bytes, ...], presented: bytes) -> bool:
    # Every token is compared, so that time does not tell which one came close.
    return any([hmac.compare_digest(presented, token) for token in tokens])


def _is_within(length: bytes, limit_bytes: int) -> bool:
    return length.isdigit() and int(length) <= limit_bytes
