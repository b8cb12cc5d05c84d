"""What the engine made for each request, counted where tokens come out of it, so that requests
count that nobody waited for: vLLM's own statistics leave those out.

Rules
1. A count is made when the engine's frontend lets go of a request, finished or aborted.
2. Accelerator time is shared equally between the requests there are, waiting ones too, at every
   moment. So the shares of all add up to the time the accelerators had work.
3. Counts are kept until the ledger has them, up to `MOST_KEPT`; then the oldest go, and the
   gateway's own figures stand for those requests.
"""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import msgspec

from serving.usage import EngineCount

#: About 20 MiB; ten minutes of a busy engine while the ledger is away.
MOST_KEPT = 100_000
#: Told at a time.
BATCH = 500
#: vLLM's names for our requests: ours behind a prefix, and behind it the number of the prompt.
_OURS = re.compile(r"(?:chatcmpl|cmpl)-([0-9a-f]{32})(?:-\d+)?")

_encode = msgspec.json.Encoder().encode_lines


@dataclass(frozen=True, slots=True)
class Made:
    """What the engine read and made for one request."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class Tally:
    """Of one engine, on its event loop."""

    def __init__(self, replica_id: str, accelerators: int, clock: Callable[[], float]) -> None:
        self._replica_id = replica_id
        self._accelerators = accelerators
        self._clock = clock
        #: Accelerator time that one request has had that was there all along.
        self._share_s = 0.0
        self._at_s = clock()
        #: By the engine's own name of a request, `_share_s` when it came.
        self._running: dict[str, float] = {}
        self._counts: deque[EngineCount] = deque()
        self._next = 0
        #: All requests that ended, the engine's own included.
        self.ended_requests = 0
        self.lost_counts = 0

    def began(self, engine_id: str) -> None:
        self._advance()
        self._running[engine_id] = self._share_s

    def ended(self, engine_id: str, name: str, made: Made) -> None:
        """`name` is what the engine was given for the request, `engine_id` what it made of it."""
        self._advance()
        self.ended_requests += 1
        accelerator_s = self._share_s - self._running.pop(engine_id, self._share_s)
        ours = _OURS.fullmatch(name)
        if ours is None:
            return
        if len(self._counts) >= MOST_KEPT:
            self._counts.popleft()
            self.lost_counts += 1
        count = EngineCount(
            replica_id=self._replica_id,
            number=self._next,
            request_id=ours[1],
            prompt_tokens=made.prompt_tokens,
            cached_tokens=made.cached_tokens,
            completion_tokens=made.completion_tokens,
            accelerator_s=round(accelerator_s, 6),
        )
        self._next += 1
        self._counts.append(count)

    def _advance(self) -> None:
        now_s = self._clock()
        if self._running:
            self._share_s += (now_s - self._at_s) * self._accelerators / len(self._running)
        self._at_s = now_s

    def untold(self) -> tuple[bytes, int]:
        """The oldest counts as lines, and the number of the first that is not among them."""
        counts = list(islice(self._counts, BATCH))
        return _encode(counts), counts[-1].number + 1 if counts else self._next

    def told(self, next_number: int) -> None:
        """The ledger has all before this one."""
        while self._counts and self._counts[0].number < next_number:
            self._counts.popleft()
