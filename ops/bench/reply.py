"""Tells a whole reply from a broken one by counting tokens as they pass; parses no JSON.

A gateway may rewrite ids, reorder keys and cut the bytes anywhere. What it may not do is lose a
token, add one, or forget the end: then its reply is an error and its speed counts for nothing.
"""

from ops.bench.wire import CHUNKS, DONE, WORD

_NEEDLE = WORD.encode()
_CARRY = len(_NEEDLE) - 1
#: Enough for the end marker and the white space some servers add after it.
_TAIL = 24

STREAM_END = DONE.strip()
WHOLE_END = b"}"


class ReplyCheck:
    """Watches one reply body go by."""

    __slots__ = ("_end", "_expected_tokens", "_tail", "tokens")

    def __init__(self, end: bytes, expected_tokens: int = CHUNKS) -> None:
        self._end = end
        self._expected_tokens = expected_tokens
        self._tail = b""
        self.tokens = 0

    def reset(self) -> None:
        """Starts on the next reply of the same connection."""
        self._tail = b""
        self.tokens = 0

    def feed(self, body: bytes) -> int:
        """The tokens that became complete with this piece."""
        # A token cut in two by the network is found by looking back as far as it can reach.
        seen = (self._tail[-_CARRY:] + body).count(_NEEDLE)
        self._tail = body[-_TAIL:] if len(body) >= _TAIL else (self._tail + body)[-_TAIL:]
        self.tokens += seen
        return seen

    def problem(self, status: int) -> str | None:
        """What is wrong with the finished reply, in a few words; None when it is whole."""
        if status != 200:
            return f"status {status}"
        if self.tokens != self._expected_tokens:
            return f"{self.tokens} tokens instead of {self._expected_tokens}"
        if not self._tail.rstrip().endswith(self._end):
            return "no end marker"
        return None
