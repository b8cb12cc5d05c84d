"""Asks every gateway for its requests in flight, all at once and each with a deadline: over HTTP,
on the private ports that Prometheus reads too. No call of Ray's, and nothing of the Controller but
where gateways are.
"""

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from serving.in_flight import PATH, InFlight, together
from serving.metrics.token import requests_token

#: A gateway answers in milliseconds. One that has gone or hangs is left out of this look.
ASK_DEADLINE_S = 1.0
#: A hundred requests are 30 KB; more comes from nobody of ours.
MOST_BYTES = 1 << 20


class InFlightClient:
    """Use as an async context manager; many looks share its connections."""

    def __init__(self, internal_token: str) -> None:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {requests_token(internal_token)}"},
            timeout=aiohttp.ClientTimeout(total=ASK_DEADLINE_S),
            connector=aiohttp.TCPConnector(limit=0),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends its connections."""
        await self._session.close()

    async def ask(self, gateways: Iterable[Mapping[str, Any]]) -> InFlight:
        """`gateways` are reports, as the Controller's status has them. Fails for none of them."""
        asked = [each for each in gateways if each.get("metrics_address")]
        told = await asyncio.gather(*(self._of(each["metrics_address"]) for each in asked))
        silent = (
            str(each["gateway_id"])
            for each, answer in zip(asked, told, strict=True)
            if answer is None
        )
        return together((each for each in told if each is not None), silent)

    async def _of(self, address: str) -> InFlight | None:
        try:
            async with self._session.get(f"http://{address}{PATH}") as reply:
                if reply.status != 200 or (reply.content_length or 0) > MOST_BYTES:
                    return None
                return msgspec.json.decode(await reply.read(), type=InFlight)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError):
            return None
