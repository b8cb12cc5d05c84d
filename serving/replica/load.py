"""Reads the engine's own load figures as vLLM hands them out after each step."""

import time
from typing import Any

from serving.snapshot import Load

#: What the token rate looks back on: long enough to be calm, short enough to follow a burst.
RATE_WINDOW_S = 5.0


class LoadMeter:
    """The newest figures of one engine; `record` is called on the engine's event loop."""

    def __init__(self) -> None:
        self._waiting = 0
        self._kv_use = 0.0
        self._tokens = 0
        self._rate = 0.0
        self._since_s = time.monotonic()

    def record(self, scheduler: Any, iteration: Any) -> None:
        """Takes vLLM's SchedulerStats and IterationStats; either may be None."""
        if scheduler is not None:
            # vLLM counts the requests it deferred apart; to us both are waiting.
            self._waiting = scheduler.num_waiting_reqs + scheduler.num_skipped_waiting_reqs
            self._kv_use = scheduler.kv_cache_usage
        if iteration is not None:
            self._tokens += iteration.num_generation_tokens

    def read(self, unfinished: int) -> Load:
        """The load now. The frontend counts `unfinished` requests: it sees an abort first."""
        waiting = min(self._waiting, unfinished)
        return Load(
            waiting=waiting,
            running=unfinished - waiting,
            kv_use=self._kv_use if unfinished else 0.0,
            tokens_per_s=self._rate_now(),
        )

    def _rate_now(self) -> float:
        now_s = time.monotonic()
        elapsed_s = now_s - self._since_s
        weight = min(1.0, elapsed_s / RATE_WINDOW_S)
        if elapsed_s > 0:
            self._rate += (self._tokens / elapsed_s - self._rate) * weight
        self._tokens, self._since_s = 0, now_s
        return round(self._rate, 3)
