"""Asks a gateway until it answers well, and goes on doing so."""

import http.client

from ops.bench.reply import WHOLE_END, ReplyCheck
from ops.bench.shape import Target

#: Whole replies in a row, each on a connection of its own: HAProxy answers for a while with the
#: configuration from before its last reload.
_ENOUGH = 20
_ASK_S = 5.0


class Steady:
    """Asks once a call; true after enough whole replies in a row."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._in_a_row = 0

    def __call__(self) -> bool:
        self._in_a_row = self._in_a_row + 1 if self._is_whole() else 0
        return self._in_a_row >= _ENOUGH

    def _is_whole(self) -> bool:
        to = self._target
        try:
            status, body = post(to, to.path, to.body(stream=False))
        except (OSError, http.client.HTTPException):
            return False
        check = ReplyCheck(WHOLE_END)
        check.feed(body)
        return check.problem(status) is None


def post(to: Target, path: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(to.host, to.port, timeout=_ASK_S)
    try:
        connection.request("POST", path, body, to.headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()
