"""What comes over a connection, read ahead without loss.

A server that watches whether its caller leaves has to read, and what it reads may be the next
request: the caller may send one as soon as it has the answer, before the server has looked away.
"""

import asyncio

_READ_BYTES = 64 * 1024


class Incoming:
    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._ahead = bytearray()

    async def head(self) -> bytes:
        """Up to the first empty line. Raises IncompleteReadError."""
        while b"\r\n\r\n" not in self._ahead:
            await self._more()
        return self._take(self._ahead.index(b"\r\n\r\n") + 4)

    async def exactly(self, size_bytes: int) -> bytes:
        """Raises IncompleteReadError."""
        while len(self._ahead) < size_bytes:
            await self._more()
        return self._take(size_bytes)

    async def end(self) -> None:
        """Returns when the caller has left; to be cancelled at any time."""
        while data := await self._reader.read(_READ_BYTES):
            self._ahead += data

    async def _more(self) -> None:
        data = await self._reader.read(_READ_BYTES)
        if not data:
            raise asyncio.IncompleteReadError(bytes(self._ahead), None)
        self._ahead += data

    def _take(self, size_bytes: int) -> bytes:
        taken = bytes(self._ahead[:size_bytes])
        del self._ahead[:size_bytes]
        return taken
