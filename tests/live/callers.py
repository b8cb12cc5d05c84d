"""Official clients with their default retries, calling a model until told to stop."""

import threading
from collections import Counter
from typing import Any

import openai

from tests.live.fleet_under_test import NEVER_ENDS, LiveFleet

MESSAGES: Any = [{"role": "user", "content": "hello"}]
#: New connections are what an update could lose.
CALLS_PER_CLIENT = 3
#: What waits for a replica's start may wait that long for the end of the block.
JOIN_S = 600


class Callers:
    """Every second one streams; answers have all the tokens that they may. A context manager: they
    call while the block runs.
    """

    def __init__(
        self, fleet: LiveFleet, model: str = "demo", clients: int = 4, max_tokens: int = 8
    ) -> None:
        self._fleet = fleet
        self._model = model
        self._max_tokens = max_tokens
        self._stop = threading.Event()
        #: By the model that the answer names.
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._call, args=(number % 2 == 0,))
            for number in range(clients)
        ]

    @property
    def done(self) -> int:
        return self.answers.total()

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=JOIN_S)

    def _call(self, streamed: bool) -> None:
        while not self._stop.is_set():
            with openai.OpenAI(api_key=self._fleet.key, base_url=self._fleet.base_url) as client:
                for _ in range(CALLS_PER_CLIENT):
                    if not self._stop.is_set():
                        self._once(client, streamed)

    def _once(self, client: openai.OpenAI, streamed: bool) -> None:
        try:
            self.answers[(self._stream if streamed else self._whole)(client)] += 1
        except (openai.OpenAIError, AssertionError) as error:
            self.failures.append(f"{type(error).__name__}: {error}")

    def _whole(self, client: openai.OpenAI) -> str:
        return client.chat.completions.create(
            model=self._model,
            messages=MESSAGES,
            max_tokens=self._max_tokens,
            logit_bias=NEVER_ENDS,
        ).model

    def _stream(self, client: openai.OpenAI) -> str:
        stream = client.chat.completions.create(
            model=self._model,
            messages=MESSAGES,
            max_tokens=self._max_tokens,
            logit_bias=NEVER_ENDS,
            stream=True,
        )
        chunks = list(stream)
        assert chunks[-1].choices[0].finish_reason
        return chunks[-1].model
