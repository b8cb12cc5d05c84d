"""One end of a measured TCP stream between two nodes. Like the probe it is sent to a node's own
`python3`: standard library only, Python 3.8 and later, and nothing of it stays behind.

Rules
1. The receiving end listens on the inventory's address alone, on a port of the system's choice, and
   takes one stream from each sender that has a token of this run; whoever else connects is closed.
2. Streams come one after the other, so that none is measured in the shadow of another.
3. Bytes, seconds and strangers are bounded, and an alarm ends the script whatever happens.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import signal
import socket
import time
from typing import Any

MARK = "flotilla-stream "
#: A stream ends with the first of these.
STREAM_BYTES = 1 << 30
STREAM_S = 0.5
CHUNK_BYTES = 1 << 20
TOKEN_BYTES = 32
CONNECT_S = 5
#: A stranger that connects and is silent keeps the senders waiting for so long.
GREETING_S = 2
#: Senders that have not come by then will not.
IDLE_S = 20
MAX_STRANGERS = 20
GO = b"go"


def receive(address: str, tokens: dict[str, str], deadline_s: int) -> None:
    """Takes a stream from the sender of each token, whose names are the values."""
    signal.alarm(deadline_s)
    strangers = 0
    with socket.socket() as listener:
        listener.bind((address, 0))
        listener.listen(len(tokens) + MAX_STRANGERS)
        listener.settimeout(IDLE_S)
        _say({"port": listener.getsockname()[1]})
        while tokens and strangers < MAX_STRANGERS:
            connection = listener.accept()[0]
            with connection, contextlib.suppress(OSError):
                sender = _sender(connection, tokens)
                strangers += sender is None
                if sender is not None:
                    _say({"sender": sender, **_received(connection)})


def _sender(connection: socket.socket, tokens: dict[str, str]) -> str | None:
    """Whose token comes in; a token is good for one stream."""
    connection.settimeout(GREETING_S)
    try:
        said = connection.recv(TOKEN_BYTES, socket.MSG_WAITALL)
    except OSError:
        return None
    known = [token for token in tokens if hmac.compare_digest(token.encode(), said)]
    return tokens.pop(known[0]) if known else None


def _received(connection: socket.socket) -> dict[str, Any]:
    connection.sendall(GO)
    buffer, total = bytearray(CHUNK_BYTES), 0
    started_s = time.monotonic()
    while total < 2 * STREAM_BYTES:
        size = connection.recv_into(buffer)
        if not size:
            break
        total += size
    return {"bytes": total, "seconds": time.monotonic() - started_s}


def send(address: str, port: int, token: str, deadline_s: int) -> None:
    """Sends a stream when its turn comes."""
    signal.alarm(deadline_s)
    try:
        connection = socket.create_connection((address, port), CONNECT_S)
    except OSError as error:
        raise SystemExit(f"no connection to port {port} of {address}: {error}") from None
    with connection:
        connection.settimeout(deadline_s)
        connection.sendall(token.encode())
        if connection.recv(len(GO), socket.MSG_WAITALL) != GO:
            raise SystemExit(f"{address} closed the connection")
        chunk, total = bytes(CHUNK_BYTES), 0
        end_s = time.monotonic() + STREAM_S
        while total < STREAM_BYTES and time.monotonic() < end_s:
            connection.sendall(chunk)
            total += CHUNK_BYTES


def _say(value: dict[str, Any]) -> None:
    print(MARK + json.dumps(value), flush=True)  # noqa: T201 - its stdout is the answer
