"""Passes what the playground asks on to the gateway, with the key that its user typed: the same
limits, the same usage, the same audit as for any other client. Nothing of it is kept.
"""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from ops.dashboard.body import bounded
from ops.endpoint import Address

MOST_BODY_BYTES = 1 << 20
KEY_HEADER = "x-api-key"
MOST_KEY_CHARS = 512
#: The gateway's own deadline is 600 s.
DEADLINE_S = 620.0
CONNECT_S = 5.0
PASSED_ON = ("content-type", "x-request-id", "x-flotilla-fallback")


class Playground:
    def __init__(self, address: Address) -> None:
        self._address = address

    @property
    def base_url(self) -> str:
        return self._address.base_url

    async def ask(self, request: Request) -> Response:
        """A chat completion, streamed as it comes. Raises TooLarge."""
        key = request.headers.get(KEY_HEADER, "")
        if not key.isascii() or not key.isprintable() or not 0 < len(key) <= MOST_KEY_CHARS:
            return PlainTextResponse("Give an API key: `flotilla keys create NAME` makes one.", 400)
        body = await bounded(request, MOST_BODY_BYTES)
        session = self._address.session()
        try:
            return await self._passed_on(session, body, key)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            await session.close()
            return PlainTextResponse(f"The gateway does not answer: {error}", 502)
        except asyncio.CancelledError:
            await session.close()
            raise

    async def _passed_on(self, session: aiohttp.ClientSession, body: bytes, key: str) -> Response:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        reply = await session.post(
            f"{self._address.base_url}/chat/completions",
            data=body,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=DEADLINE_S, sock_connect=CONNECT_S),
        )
        kept = {name: reply.headers[name] for name in PASSED_ON if name in reply.headers}
        return StreamingResponse(_chunks(session, reply), reply.status, kept)


async def _chunks(
    session: aiohttp.ClientSession, reply: aiohttp.ClientResponse
) -> AsyncIterator[bytes]:
    """Closes both on every way out, which is how the gateway learns that nobody reads."""
    try:
        async for chunk in reply.content.iter_any():
            yield chunk
    finally:
        reply.close()
        await session.close()
