"""TLS between the socket and a client connection, which neither knows of it nor is made slower
where there is none. Decides who may begin to speak HTTP; knows no certificate files.

Rules
- The connection inside hears of a client once its handshake is complete.
- Handshakes are bounded: in number (the oldest makes room for the newest), in time, and in work.
  One step a turn of the loop, since a step costs as much as dozens of tokens: a thousand clients
  that come back at once do not stop those that are being served.
- A transport's promises hold: what is not taken pauses the writer, a client that leaves (FIN, RST,
  close_notify) is heard of at once, `write_eof` leaves the way in open.
- Whoever speaks HTTP here without TLS is told so; whatever else is no handshake is closed. Nothing
  of it reaches the log: strangers would fill it.

Not asyncio's `ssl=`: it tells us of a connection only after the handshake, so that we can neither
count nor bound what comes before; it has no `write_eof`; and a gateway that leaves could not
recognise its own probe (figures in ops/decisions).
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

from serving.bounds import HANDSHAKES, Deadlines
from serving.errors import ApiError, Refusal, envelope
from serving.gateway.certificate import Certificate
from serving.gateway.connection import ClientConnection

#: The most that a TLS record holds.
RECORD_BYTES = 16 * 1024
#: Encrypted at a time of a long answer, so that it is not held twice.
WRITE_BYTES = 16 * RECORD_BYTES
#: First byte of every TLS connection since SSL 3.
_HANDSHAKE = 0x16
_MESSAGE = "This port speaks TLS: use https://."
_BODY = envelope(ApiError(Refusal.BAD_FRAMING, _MESSAGE))
_PLAIN_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


class Handshakes:
    """Those that are under way."""

    def __init__(
        self, certificate: Certificate, deadlines: Deadlines, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.certificate = certificate
        self.deadlines = deadlines
        self.loop = loop
        #: In the order in which they began.
        self._unfinished: dict[TlsConnection, None] = {}
        self._due: deque[TlsConnection] = deque()

    def __iter__(self) -> "Iterator[TlsConnection]":
        return iter(tuple(self._unfinished))

    def __len__(self) -> int:
        return len(self._unfinished)

    def began(self, connection: "TlsConnection") -> None:
        if len(self._unfinished) >= HANDSHAKES:
            oldest = next(iter(self._unfinished))
            self.ended(oldest)
            oldest.abort()
        self._unfinished[connection] = None

    def ended(self, connection: "TlsConnection") -> None:
        self._unfinished.pop(connection, None)

    def wants_step(self, connection: "TlsConnection") -> None:
        if not self._due:
            self.loop.call_soon(self._turn)
        self._due.append(connection)

    def _turn(self) -> None:
        connection = self._due.popleft()
        if self._due:
            self.loop.call_soon(self._turn)
        connection.step()


class TlsConnection(asyncio.Protocol):
    """The socket's protocol on one side, the client connection's transport on the other."""

    def __init__(self, inside: ClientConnection, handshakes: Handshakes) -> None:
        self._inside = inside
        self._handshakes = handshakes
        self._tcp = cast(asyncio.Transport, None)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        #: Made with the first bytes: those who say nothing cost next to nothing.
        self._tls = cast(ssl.SSLObject, None)
        #: The handshake is complete.
        self._is_secure = False
        #: We have said our last word.
        self._is_shut = False
        self._deadline_s = 0.0

    # The socket's side
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = cast(asyncio.Transport, transport)
        self._allow(self._handshakes.deadlines.handshake_s)
        self._handshakes.began(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._handshakes.ended(self)
        if self._is_secure:
            self._inside.connection_lost(exc)
        # Each holds the other: let go, both and OpenSSL's buffers are freed now.
        self._inside = cast(ClientConnection, None)

    def eof_received(self) -> None:
        if self._is_secure:
            self._inside.eof_received()

    def data_received(self, data: bytes) -> None:
        if self._is_shut:
            return
        if not self._is_secure and self._tls is None and data[0] != _HANDSHAKE:
            self._refuse(data)
            return
        self._incoming.write(data)
        if self._is_secure:
            self._read()
        else:
            # What more it sends waits in the kernel until it had its turn.
            self._tcp.pause_reading()
            self._handshakes.wants_step(self)

    def pause_writing(self) -> None:
        if self._is_secure:
            self._inside.pause_writing()

    def resume_writing(self) -> None:
        if self._is_secure:
            self._inside.resume_writing()

    # The handshake
    def _allow(self, seconds: float) -> None:
        self._deadline_s = self._handshakes.loop.time() + seconds

    def step(self) -> None:
        if self._tcp.is_closing():
            return
        if self._tls is None:
            context = self._handshakes.certificate.context
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            self._tcp.resume_reading()
        except ssl.SSLError:
            self._flush()  # the alert that says why
            self._tcp.close()
        else:
            self._flush()
            self._begin()

    def _begin(self) -> None:
        self._handshakes.ended(self)
        self._is_secure = True
        self._tcp.resume_reading()
        self._inside.connection_made(cast(asyncio.BaseTransport, self))
        self._read()  # the first request may have come with the end of the handshake

    def _refuse(self, data: bytes) -> None:
        """Not at once gone: closing over unread input would reset the answer away."""
        self._is_shut = True
        self._allow(self._handshakes.deadlines.linger_s)
        if data[:1].isalpha():
            self._tcp.write(_PLAIN_HTTP)
            self._tcp.write_eof()
        else:
            self._tcp.close()

    # Both ways
    def _read(self) -> None:
        tls, inside = self._tls, self._inside
        try:
            while data := tls.read(RECORD_BYTES):
                inside.data_received(data)
                if self._is_shut or self._tcp.is_closing():
                    break
                if not self._incoming.pending and not tls.pending():
                    break
            else:
                self._close_notified()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.abort()
        if self._outgoing.pending:
            self._flush()  # an answer to a change of keys

    def _close_notified(self) -> None:
        self._inside.eof_received()
        self.close()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._tcp.is_closing():
            self._tcp.write(data)

    # What the server calls
    @property
    def peer(self) -> object:
        return self._tcp.get_extra_info("peername")

    def sweep(self, now_s: float) -> None:
        if now_s > self._deadline_s:
            self._tcp.abort()

    def drain(self) -> None:
        """Closes if the client has not even begun."""
        if self._tls is None and not self._is_shut and not self._incoming.pending:
            self._tcp.close()

    # The transport of the connection inside
    def write(self, data: bytes) -> None:
        if self._is_shut:
            return
        if len(data) <= RECORD_BYTES:
            self._tls.write(data)
            self._tcp.write(self._outgoing.read())
            return
        rest = memoryview(data)
        while rest:
            for _ in range(WRITE_BYTES // RECORD_BYTES):
                rest = rest[self._tls.write(rest[:RECORD_BYTES]) :]
                if not rest:
                    break
            self._flush()

    def write_eof(self) -> None:
        self._say_last()
        self._tcp.write_eof()

    def close(self) -> None:
        self._say_last()
        self._tcp.close()

    def _say_last(self) -> None:
        if self._is_shut:
            return
        self._is_shut = True
        # It would wait for the client's last word, which need not come.
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        self._flush()

    def abort(self) -> None:
        self._tcp.abort()

    def is_closing(self) -> bool:
        return self._tcp.is_closing()

    def pause_reading(self) -> None:
        self._tcp.pause_reading()

    def resume_reading(self) -> None:
        self._tcp.resume_reading()

    def set_write_buffer_limits(self, high: int) -> None:
        self._tcp.set_write_buffer_limits(high)

    def get_extra_info(self, name: str) -> Any:
        return self._tcp.get_extra_info(name)
