"""What clients of a soak do, and what each has seen. Pure but for the dice, which are given."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec

from tests.bad_input.case import Case
from tests.serving.gateway.rig import CHAT, KEY, TEXT, Reply, encode
from tests.soak.tenant import Account


class Manner(Enum):
    WHOLE = 30
    STREAM = 40
    TEXT = 12
    LEAVES_BEFORE = 5
    LEAVES_MIDSTREAM = 6
    SENDS_NONSENSE = 7


@dataclass(frozen=True, slots=True)
class Question:
    number: int
    account: Account
    manner: Manner
    request: bytes
    #: What a bad one is to be answered.
    case: Case | None = None
    #: When it leaves, seconds after it asked.
    patience_s: float = 0.0


class Asked(msgspec.Struct, frozen=True):
    """What became of a question, as its client saw it."""

    number: int
    key_id: str
    kind: str
    #: The gateway's; none where no answer began.
    request_id: str | None
    #: Of the answer as it arrived; none where that cannot be told.
    tokens: int | None
    #: Loop time.
    began_s: float
    ended_s: float
    #: Of the corpus, whose questions are asked more than once.
    case: str | None = None
    #: Why it should not have been so.
    problem: str | None = None

    @property
    def is_answered(self) -> bool:
        return self.kind == COMPLETE

    def is_as(self, other: "Asked") -> bool:
        """The same question, to an engine."""
        return self.number == other.number or (self.case is not None and self.case == other.case)

    @property
    def is_failure(self) -> bool:
        """Something broke; a refusal of a limit or a full queue is none."""
        return self.kind not in EXPECTED and not self.kind.startswith("4")


COMPLETE, LEFT, BROKEN = "200 complete", "left", "connection broken"
#: No replica is asked, since this request died with two.
QUARANTINED = "500 quarantined"
#: A list of models and the like: no engine is asked and nothing recorded.
LISTED = "200 without an engine"
OVERLOADED = "503 server_is_overloaded"
EXPECTED = (COMPLETE, LEFT, LISTED, OVERLOADED)


@dataclass
class Questions:
    """Numbered from 0."""

    dice: random.Random
    cases: list[Case]
    asked: int = field(default=0)

    def next(self, account: Account) -> Question:
        [manner] = self.dice.choices(list(Manner), [each.value for each in Manner])
        number, self.asked = self.asked, self.asked + 1
        if manner is Manner.SENDS_NONSENSE:
            case = self.dice.choice(self.cases)
            request = case.request.replace(KEY.encode(), account.key.encode())
            return Question(number, account, manner, request, case)
        request = encode("POST", *self._body(number, manner), _headers(account))
        patience_s = self.dice.uniform(0.0, 0.1)
        return Question(number, account, manner, request, patience_s=patience_s)

    def _body(self, number: int, manner: Manner) -> tuple[str, dict[str, Any]]:
        words = f"number {number} " + "and so on " * self.dice.randrange(20)
        body: dict[str, Any] = {"model": "tiny", "max_tokens": self.dice.randint(1, 40)}
        if manner is not Manner.WHOLE and self.dice.random() < 0.9:
            body |= {"stream": True}
            if self.dice.random() < 0.5:
                body |= {"stream_options": {"include_usage": True}}
        if manner is Manner.TEXT:
            return TEXT, {**body, "prompt": words}
        return CHAT, {**body, "messages": [{"role": "user", "content": words}]}


def _headers(account: Account) -> dict[str, str]:
    return {"authorization": f"Bearer {account.key}"}


def tokens_of(reply: Reply) -> int | None:
    """Of a whole answer, as a client counts them."""
    if reply.headers["content-type"].startswith("text/event-stream"):
        return sum(_has_text(event) for event in _events(reply))
    count = reply.json.get("usage", {}).get("completion_tokens")
    return count if isinstance(count, int) else None


def _events(reply: Reply) -> Iterator[Any]:
    return (msgspec.json.decode(event) for event in reply.events if event != "[DONE]")


def _has_text(event: Any) -> bool:
    return any(c.get("text") or c.get("delta", {}).get("content") for c in event["choices"])
