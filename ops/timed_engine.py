"""An engine as a client with a stop watch sees it: streamed completions over OpenAI's HTTP, and
what vLLM's `/metrics` says of its cache.

Prompts are token ids, so that their length is exact on any tokenizer; answers have exactly the
length that was asked for (`ignore_eos`, which is vLLM's).
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

import aiohttp

from deployments.calibration import Cache
from ops.errors import EngineUnmeasurable

CONNECT_S = 10.0
#: A request that says nothing for so long will never do.
SILENCE_S = 300.0
MAX_METRICS_BYTES = 16 << 20
_CACHE = re.compile(r"vllm:cache_config_info\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Timed:
    """One streamed answer; times on the clock of `perf_counter`."""

    sent_s: float
    #: As many as were asked for; several may come in one chunk.
    tokens: int
    #: When each chunk with a token came.
    chunks_s: tuple[float, ...]

    @property
    def first_token_s(self) -> float:
        return self.chunks_s[0] - self.sent_s

    @property
    def ended_s(self) -> float:
        return self.chunks_s[-1]


@dataclass(frozen=True, slots=True)
class TimedEngine:
    """Where an engine listens, and what it calls its model."""

    session: aiohttp.ClientSession
    #: Ends in `/v1`.
    base_url: str
    model: str

    async def complete(self, prompt: Sequence[int], tokens: int) -> Timed:
        """One answer of so many tokens. Raises EngineUnmeasurable."""
        body = {
            "model": self.model,
            "prompt": list(prompt),
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
        }
        sent_s = perf_counter()
        try:
            async with self.session.post(f"{self.base_url}/completions", json=body) as reply:
                if reply.status != 200:
                    said = (await reply.content.read(400)).decode(errors="replace")
                    raise EngineUnmeasurable(f"{self.base_url} answered {reply.status}: {said}")
                chunks_s = [perf_counter() async for line in reply.content if _has_token(line)]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unmeasurable(error) from error
        if not chunks_s:
            raise EngineUnmeasurable(f"{self.base_url} answered without a token")
        return Timed(sent_s, tokens, tuple(chunks_s))

    async def cache(self) -> Cache:
        """The size of its KV cache, as vLLM's metrics say it. Raises EngineUnmeasurable."""
        url = f"{self.base_url.removesuffix('/v1')}/metrics"
        try:
            async with self.session.get(url) as reply:
                text = (await reply.content.read(MAX_METRICS_BYTES)).decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unmeasurable(error) from error
        found = _CACHE.search(text)
        said = dict(re.findall(r'(\w+)="([^"]*)"', found.group(1))) if found else {}
        try:
            return Cache(blocks=int(said["num_gpu_blocks"]), block_tokens=int(said["block_size"]))
        except (KeyError, ValueError):
            raise EngineUnmeasurable(
                f"{url} does not say how large the KV cache is: name a vLLM engine, not a gateway"
            ) from None

    def _unmeasurable(self, error: Exception) -> EngineUnmeasurable:
        return EngineUnmeasurable(f"{self.base_url}: {str(error) or type(error).__name__}")


@asynccontextmanager
async def timed_engine(base_url: str, key: str | None, model: str) -> AsyncIterator[TimedEngine]:
    """A client of the engine behind this address."""
    timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_S, sock_read=SILENCE_S)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        timeout=timeout, headers=headers, connector=connector
    ) as session:
        yield TimedEngine(session, base_url.rstrip("/"), model)


async def complete_all(
    engine: TimedEngine, prompts: Sequence[Sequence[int]], tokens: int
) -> list[Timed]:
    """All at once."""
    return list(await asyncio.gather(*(engine.complete(each, tokens) for each in prompts)))


def _has_token(line: bytes) -> bool:
    """Whether a line of the stream carries a choice; the last one may carry usage alone."""
    if not line.startswith(b"data: {"):
        return False
    try:
        return bool(json.loads(line[6:])["choices"])
    except (ValueError, LookupError, TypeError):
        raise EngineUnmeasurable(f"the engine streamed {line[:100]!r}") from None
