"""Which model's window holds a request: bounds first, an exact count only where they do not decide.

Rules (reference/lambda-api.md)
- What must fit is the prompt after the chat template plus the tokens asked for; a window is per
  sequence, so `n` does not multiply it. Nothing asked for means one token at least: an answer of
  none is no answer.
- Exactly the window stays, one more falls back.
- The walk goes along the fallback names, only ever to a larger window, and never twice to one
  model.
- A count that cannot be had is replaced by the upper bound. That may send a request to a larger
  window than it needs, never to a smaller one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from serving.snapshot import TokenFacts

#: Used while no replica has measured its tokenizer: far on the safe side of every known one.
CAUTIOUS_FACTS = TokenFacts(
    request_overhead_tokens=256, message_overhead_tokens=32, longest_token_bytes=256
)


class Model(Protocol):
    """What the walk needs to know of a public model."""

    @property
    def name(self) -> str: ...
    @property
    def replica_set(self) -> str: ...
    @property
    def window_tokens(self) -> int: ...
    @property
    def fallback(self) -> str | None: ...


M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Size:
    """A prompt before it is tokenised; of several prompts the largest."""

    #: UTF-8 bytes that the template can make of it, at most; tools count four times.
    most_bytes: int
    #: UTF-8 bytes of plain text in it, at least.
    least_bytes: int
    messages: int
    #: Tokens that came as ids and need no counting.
    ids: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds on the tokens of a prompt."""

    least: int
    most: int
    #: The count could not be had and the upper bound stands in for it.
    is_guess: bool = False


@dataclass(frozen=True, slots=True)
class Fits(Generic[M]):
    model: M
    tokens: Range


@dataclass(frozen=True, slots=True)
class NeedsCount(Generic[M]):
    model: M


@dataclass(frozen=True, slots=True)
class TooLong:
    #: The largest window of the walk, and the tokens by the tokenizer of its replicas.
    window_tokens: int
    tokens: Range


def token_range(size: Size, facts: TokenFacts | None) -> Range:
    known = facts or CAUTIOUS_FACTS
    if size.ids:
        return Range(size.ids, size.ids + known.request_overhead_tokens + size.most_bytes)
    overhead = known.request_overhead_tokens + size.messages * known.message_overhead_tokens
    return Range(size.least_bytes // known.longest_token_bytes, size.most_bytes + overhead)


def chain(models: Mapping[str, M], first: M) -> list[M]:
    """The models to try, in order of the fallback names, windows strictly growing."""
    found = [first]
    while (name := found[-1].fallback) is not None:
        following = models.get(name)
        if following is None or following.window_tokens <= found[-1].window_tokens:
            break
        found.append(following)
    return found


def choose(
    candidates: list[M], ranges: Mapping[str, Range], wanted: int | None
) -> Fits[M] | NeedsCount[M] | TooLong:
    """The first model that certainly holds the request; `ranges` is by replica set.

    Asks for a count as soon as one could change the answer, so a model is passed over only when it
    cannot do.
    """
    asked = max(wanted or 0, 1)
    for model in candidates:
        tokens = ranges[model.replica_set]
        if tokens.most + asked <= model.window_tokens:
            return Fits(model, tokens)
        if tokens.least + asked <= model.window_tokens:
            return NeedsCount(model)
    last = candidates[-1]
    return TooLong(last.window_tokens, ranges[last.replica_set])


def explain(too_long: TooLong, wanted: int | None) -> str:
    tokens = too_long.tokens
    count = f"{tokens.least}" if tokens.least == tokens.most else f"at least {tokens.least}"
    asked = "" if wanted is None else f" and {wanted} were asked for"
    window = too_long.window_tokens
    return f"The window is {window} tokens; the prompt has {count}{asked}. Shorten one of them."
