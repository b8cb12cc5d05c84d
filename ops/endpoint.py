"""The proof that a fleet serves: a real completion through the gateway, asked for until it comes or
time is up.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from cluster.local import LOOPBACK
from deployments.fleet import Fleet, Gateway
from ops.errors import NoCompletion
from serving.gateway.certificate import trusting

QUESTION = "How do I create an API key?"
POLL_S = 0.3
CALL_DEADLINE_S = 60.0
CONNECT_DEADLINE_S = 10.0
#: Replicas are ready by now; what is missing is the next snapshot at the gateways.
PROOF_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gateway listens."""

    base_url: str
    #: The gateway's own, which is all that is trusted; None where it speaks plain HTTP.
    certificate: Path | None = None

    def session(self, deadline_s: float = CALL_DEADLINE_S) -> aiohttp.ClientSession:
        """Raises CertificateUnusable."""
        tls = True if self.certificate is None else trusting(self.certificate)
        timeout = aiohttp.ClientTimeout(total=deadline_s, sock_connect=CONNECT_DEADLINE_S)
        return aiohttp.ClientSession(
            timeout=timeout, connector=aiohttp.TCPConnector(ssl=tls, limit=0)
        )


def address_of(gateway: Gateway) -> Address:
    """Where the gateway of this machine answers."""
    scheme, certificate = "http", None
    if gateway.tls is not None:
        scheme, certificate = "https", Path(gateway.tls.certificate)
    base_url = f"{scheme}://{reachable(gateway.host)}:{gateway.port}/v1"
    return Address(base_url, certificate)


def dashboard_url(fleet: Fleet) -> str:
    return f"http://{reachable(fleet.dashboard.host)}:{fleet.dashboard_port}/"


def reachable(host: str) -> str:
    """An address to connect to, as a URL has it: a server may listen on all of them."""
    host = LOOPBACK if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to reach a fleet, and what it answered when it was asked."""

    address: Address
    key: str
    model: str
    said: str
    dashboard_url: str = ""


async def prove(address: Address, key: str, model: str) -> Endpoint:
    """Asks `model` a question through the gateway. Raises NoCompletion."""
    deadline_s = asyncio.get_running_loop().time() + PROOF_DEADLINE_S
    async with address.session() as session:
        while True:
            try:
                said = await _ask(session, address.base_url, key, model)
                return Endpoint(address, key, model, said)
            except NoCompletion:
                if asyncio.get_running_loop().time() > deadline_s:
                    raise
            await asyncio.sleep(POLL_S)


async def is_key_known(address: Address, key: str) -> bool:
    """Whether the gateway takes the key; waits for a gateway to answer. Raises NoCompletion."""
    headers = {"Authorization": f"Bearer {key}"}
    base_url = address.base_url
    deadline_s = asyncio.get_running_loop().time() + PROOF_DEADLINE_S
    async with address.session() as session:
        while True:
            try:
                async with session.get(f"{base_url}/models", headers=headers) as reply:
                    return reply.status != 401
            except (aiohttp.ClientError, TimeoutError) as error:
                if asyncio.get_running_loop().time() > deadline_s:
                    raise NoCompletion(base_url, str(error) or type(error).__name__) from error
            await asyncio.sleep(POLL_S)


async def _ask(session: aiohttp.ClientSession, base_url: str, key: str, model: str) -> str:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0,
        "max_tokens": 64,
    }
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with session.post(
            f"{base_url}/chat/completions", json=body, headers=headers
        ) as reply:
            answer = await reply.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise NoCompletion(base_url, str(error) or type(error).__name__) from error
    try:
        if reply.status != 200:
            raise NoCompletion(base_url, answer["error"]["message"])
        return str(answer["choices"][0]["message"]["content"])
    except (LookupError, TypeError) as error:
        raise NoCompletion(base_url, f"status {reply.status}, and no gateway of ours") from error
