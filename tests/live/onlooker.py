"""A client that keeps what it sees: each answer as it came, and none for longer than a deadline."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.faults.site import kind_of
from tests.live.fleet_under_test import NEVER_ENDS, LiveFleet
from tests.serving.gateway.rig import Reply

#: Of a call; a fault may cost a client all of a watchdog's time, and no more.
DEADLINE_S = 180.0
COMPLETE = "200 complete"
BROKEN = "connection broken"
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Answer:
    #: As `kind_of` calls it, or BROKEN.
    kind: str
    #: The gateway's own id of the request, by which the ledger knows it; empty where none came.
    request_id: str
    took_s: float
    retry_after_s: int | None = None

    @property
    def was_accepted(self) -> bool:
        return self.kind.startswith("200")


class Call:
    """A request on a connection of its own; open until `end` was called."""

    def __init__(self, fleet: LiveFleet, body: dict[str, Any]) -> None:
        self._began_s = time.monotonic()
        self._status, self._headers = 0, dict[str, str]()
        self._read = b""
        where = urlsplit(fleet.base_url)
        self._line = http.client.HTTPConnection(where.netloc, timeout=DEADLINE_S)
        headers = {"authorization": f"Bearer {fleet.key}", "content-type": "application/json"}
        self._line.request(
            "POST", f"{where.path}/chat/completions", json.dumps(body).encode(), headers
        )

    def events(self, count: int) -> None:
        """Reads until so many events of the stream have come."""
        reply = self._head()
        assert self._status == 200, reply.read()
        while self._read.count(b"\n\n") < count:
            self._read += reply.readline()

    def end(self) -> Answer:
        """Reads to the end."""
        try:
            self._read += self._head().read()
            kind = kind_of(Reply(self._status, self._headers, self._read))
        except (OSError, http.client.HTTPException):
            kind = BROKEN
        finally:
            self._line.close()
        took_s = time.monotonic() - self._began_s
        assert took_s < DEADLINE_S, f"{kind} only after {took_s:.0f} s"
        wait = self._headers.get("retry-after")
        request_id = self._headers.get("x-request-id", "")
        return Answer(kind, request_id, took_s, int(wait) if wait else None)

    def leave(self) -> None:
        self._line.close()

    def _head(self) -> http.client.HTTPResponse:
        if not self._status:
            self._reply = self._line.getresponse()
            self._status = self._reply.status
            self._headers = {name.lower(): value for name, value in self._reply.getheaders()}
        return self._reply


def question(model: str, tokens: int, *, stream: bool) -> dict[str, Any]:
    """A request for exactly so many tokens. None comes twice: one that was at two replicas as they
    were killed, by whichever tests, would be taken for what killed them.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": f"hello {next(_numbers)}"}],
        "max_tokens": tokens,
        "logit_bias": NEVER_ENDS,
    }
    return {**body, "stream": True} if stream else body


def ask(fleet: LiveFleet, model: str, tokens: int = 4, *, stream: bool = False) -> Answer:
    try:
        return Call(fleet, question(model, tokens, stream=stream)).end()
    except OSError:
        return Answer(BROKEN, "", 0.0)


class Crowd:
    """Clients that ask one question after the other, every second one for a stream."""

    def __init__(self, fleet: LiveFleet, model: str, tokens: int) -> None:
        self._fleet, self._model, self._tokens = fleet, model, tokens
        self._leave = threading.Event()
        self.answers: list[Answer] = []

    @contextmanager
    def asking(self, clients: int) -> Iterator["Crowd"]:
        """While the block runs."""
        threads = [
            threading.Thread(target=self._ask, args=(number % 2 == 0,)) for number in range(clients)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._leave.set()
            for thread in threads:
                thread.join(DEADLINE_S)
            assert not any(thread.is_alive() for thread in threads)

    def _ask(self, stream: bool) -> None:
        while not self._leave.is_set():
            self.answers.append(ask(self._fleet, self._model, self._tokens, stream=stream))
