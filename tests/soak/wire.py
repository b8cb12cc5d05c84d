"""Calls between the processes of a soak, over Unix sockets, in the shape of Ray's: what a gateway
holds is a handle, `handle.method.remote(...)` is awaited, and anything may come back as an error.

Pickled, as Ray does it; both ends are ours and the sockets are in a folder of ours.
"""

import asyncio
import contextlib
import pickle
import struct
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

_LENGTH = struct.Struct("!I")
_GONE = (asyncio.IncompleteReadError, ConnectionError)


@asynccontextmanager
async def serving(target: object, path: Path) -> AsyncIterator[None]:
    """Others may call methods of `target` while this is open."""
    tasks: set[asyncio.Task[None]] = set()

    def begin(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*_GONE), contextlib.closing(writer):
            while True:
                begin(_answer(target, await _read(reader), writer))

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begin(listen(reader, writer))

    path.unlink(missing_ok=True)  # noqa: ASYNC240 - of one that was killed
    server = await asyncio.start_unix_server(connected, path)
    try:
        yield
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(target: object, call: Any, writer: asyncio.StreamWriter) -> None:
    number, name, arguments = call
    try:
        result, error = await getattr(target, name)(*arguments), None
    except Exception as failure:  # noqa: BLE001 - the boundary of a process
        result, error = None, f"{type(failure).__name__}: {failure}"
    if not writer.is_closing():
        _write(writer, (number, result, error))


class Failed(Exception):
    """The other side raised."""


class Method:
    def __init__(self, handle: "Handle", name: str) -> None:
        self._handle = handle
        self._name = name

    def remote(self, *arguments: object) -> asyncio.Future[Any]:
        return asyncio.ensure_future(self._handle.call(self._name, *arguments))


class Handle:
    """Connects when it is first needed, and again when the other side has gone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    def options(self, **_: object) -> "Handle":
        """There is one way to bring an answer back."""
        return self

    def __getattr__(self, name: str) -> Method:
        return Method(self, name)

    async def call(self, name: str, *arguments: object) -> Any:
        """Raises Failed, or OSError while nobody is there."""
        writer = await self._connected()
        number, answer = next(self._numbers), asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            _write(writer, (number, name, arguments))
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        if self._writer is not None and self._reading is not None:
            self._writer.close()
            await self._reading

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None:
                reader, self._writer = await asyncio.open_unix_connection(self._path)
                self._reading = asyncio.create_task(self._listen(reader, self._writer))
            return self._writer

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*_GONE):
            while True:
                self._heard(*await _read(reader))
        writer.close()
        self._writer = None
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the other side is gone"))

    def _heard(self, number: int, result: object, error: str | None) -> None:
        answer = self._waiting.get(number)
        if answer is None or answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(Failed(error))


async def _read(reader: asyncio.StreamReader) -> Any:
    (size_bytes,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(size_bytes))  # noqa: S301 - see above


def _write(writer: asyncio.StreamWriter, message: object) -> None:
    data = pickle.dumps(message)
    writer.write(_LENGTH.pack(len(data)) + data)
