"""What is asked of a gateway: which load, for how long, and with which bytes. Pure."""

import json
from dataclasses import dataclass

_PROMPT = "hello world " * 20
_MAX_TOKENS = 64


@dataclass(frozen=True)
class Shape:
    """One kind of load. A pause above zero is the upstream's time between two chunks."""

    stream: bool
    connections: int
    pause_ms: float = 0.0

    @property
    def name(self) -> str:
        kind = "stream" if self.stream else "unary"
        pace = f" every {self.pause_ms:g} ms" if self.pause_ms else ""
        return f"{kind}{pace} x{self.connections}"


@dataclass(frozen=True)
class Window:
    warmup_s: float
    duration_s: float
    #: The window stays open until every connection had a reply, but no longer than this.
    limit_s: float


@dataclass(frozen=True)
class Target:
    """Where to send the load, and as whom."""

    port: int
    model: str
    key: str = ""
    host: str = "127.0.0.1"
    path: str = "/v1/chat/completions"

    def request(self, *, stream: bool) -> bytes:
        """The bytes of one request; the same for every request of a run."""
        return self.post(self.body(stream=stream))

    def post(self, body: bytes) -> bytes:
        """The bytes of one request with this body."""
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    @property
    def headers(self) -> dict[str, str]:
        access = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return {"Content-Type": "application/json"} | access

    def body(self, *, stream: bool) -> bytes:
        value: dict[str, object] = {
            "model": self.model,
            "messages": [{"role": "user", "content": _PROMPT}],
            "max_tokens": _MAX_TOKENS,
        }
        return json.dumps(value | ({"stream": True} if stream else {})).encode()
