"""Filter, score, pick. Pure: the dice and the clock are parameters.

Rules
1. Everything is weighed in one unit, tokens of work until the first token: what is ahead at the
   replica, and what of this prompt it would have to compute. So a request stays with the replica
   that holds its beginning until waiting there costs more than computing it elsewhere, and a miss
   goes to whoever has least to do. There are no weights between scores.
2. A prompt that several gateways get must go to one replica without a word between them. So each
   prompt has a home, the same for every gateway, and `homing` is how much of an unknown prompt
   homes were found to hold: nothing behind one gateway, much where the turns of a conversation
   come in through several.
3. What most replicas hold is a common beginning and says nothing of where a prompt belongs: the
   home is by the first block after it, or by the session where the caller names one.
4. Among equals the home wins, and the dice where there is none.

For one request, with the `Router` of a gateway and the slots of a replica set:

    choice = router.choose(slots, ask, tried, now_s, dice)   # -> Choice | None; changes nothing
    with router.send(choice) as flight:                      # counts it and claims its prefix
        flight.began()                                       # at its first token
    router.learn(choice, answer)                             # when the answer is complete
    router.forget(replica_id)                                # when a replica has left
"""

from bisect import bisect_right
from collections.abc import Callable, Collection
from dataclasses import dataclass

from serving.routing.filters import listed, ready, roomy, trusted, untried
from serving.routing.index import Claims, Index
from serving.routing.prefix import NO_PREFIX, Prefix
from serving.routing.rendezvous import home
from serving.routing.scorers import shortest
from serving.routing.table import Flight, Slot
from serving.routing.work import Work

Dice = Callable[[int], int]
"""n -> a number in [0, n)."""

#: How much one answer moves `homing`.
_LEARNING = 0.05
_FIRST_HOMING = 0.5


@dataclass(frozen=True, slots=True)
class Ask:
    """What routing knows of a request."""

    prompt_tokens: float
    #: What the caller allows for the answer; None for no bound.
    most_output_tokens: float | None = None
    prefix: Prefix = NO_PREFIX
    #: `prefix.of_session`, where the caller named one.
    session: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a request goes, and what is expected of it there."""

    slot: Slot
    ask: Ask
    work: Work
    #: Tokens of the prompt that the replica is claimed to hold.
    claimed_tokens: float
    is_home: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine counted."""

    #: At least 1.
    prompt_tokens: int
    #: None where it does not say.
    cached_tokens: int | None
    output_tokens: int


def may_be_asked(slots: list[Slot], tried: Collection[str], now_s: float) -> list[Slot]:
    return roomy(trusted(listed(untried(ready(slots), tried)), now_s))


class Router:
    """What one gateway has learned of where prompts are."""

    def __init__(self, index: Index | None = None) -> None:
        self.index = Index() if index is None else index
        self.homing = _FIRST_HOMING

    def choose(
        self, slots: list[Slot], ask: Ask, tried: Collection[str], now_s: float, dice: Dice
    ) -> Choice | None:
        """The replica to send to, or None when nobody may be asked. Changes nothing."""
        able = may_be_asked(slots, tried, now_s)
        if not able:
            return None
        claims = self.index.look_up(ask.prefix)
        held = claims.believed([slot.replica_id for slot in able])
        key = _home_key(ask, claims, len(able))
        at_home = None if key is None else home(key, able)
        if at_home is not None:
            held[at_home] += self._beyond(able[at_home], ask.prefix, claims)
        asked = ask.prompt_tokens
        works = [slot.ahead_tokens + asked - own for slot, own in zip(able, held, strict=True)]
        number = pick(able, shortest(works), key, dice)
        slot = able[number]
        work = Work(asked - held[number], _output_tokens(slot, ask))
        return Choice(slot, ask, work, claims.tokens(slot.replica_id), number == at_home)

    def _beyond(self, slot: Slot, prefix: Prefix, claims: Claims) -> float:
        """What the home may hold beyond what is claimed of it: other gateways send there, too."""
        unknown = prefix.tokens - claims.tokens(slot.replica_id)
        return unknown * self.homing * self.index.credit(slot.replica_id)

    def send(self, choice: Choice) -> Flight:
        """Claims the prefix for the replica; the work counts while the flight's context lasts."""
        self.index.record(choice.slot.replica_id, choice.ask.prefix)
        return Flight(choice.slot, choice.work)

    def learn(self, choice: Choice, answer: Answer) -> None:
        """What the engine found in its cache says what claims and homes are worth."""
        asked, computed = choice.ask.prompt_tokens, choice.work.prompt_tokens
        if answer.cached_tokens is not None:
            cached = answer.cached_tokens / answer.prompt_tokens * asked
            self._learn_of_cache(choice, min(cached, choice.ask.prefix.tokens))
            computed = asked - cached
        choice.slot.typical.learn(computed, answer.output_tokens)

    def _learn_of_cache(self, choice: Choice, cached_tokens: float) -> None:
        claimed, blocks = choice.claimed_tokens, choice.ask.prefix.tokens
        self.index.correct(choice.slot.replica_id, claimed, cached_tokens)
        if choice.is_home and claimed < blocks:
            beyond = max(0.0, cached_tokens - claimed) / (blocks - claimed)
            self.homing += (beyond - self.homing) * _LEARNING

    def forget(self, replica_id: str) -> None:
        self.index.forget(replica_id)


def _home_key(ask: Ask, claims: Claims, replicas: int) -> int | None:
    keys = ask.prefix.keys
    if ask.session is not None or not keys:
        return ask.session
    common = claims.common(replicas) if replicas > 1 else 0
    first = bisect_right(ask.prefix.ends_tokens, common, hi=len(keys))
    return keys[first] if first < len(keys) else None


def _output_tokens(slot: Slot, ask: Ask) -> float:
    typical = slot.typical.output_tokens
    return typical if ask.most_output_tokens is None else min(typical, ask.most_output_tokens)


def pick(slots: list[Slot], scores: list[float], key: int | None, dice: Dice) -> int:
    """The place of one of the best. Among equals every gateway takes the same for the same key;
    without a key by chance, since several gateways on the same old figures must not agree.
    """
    best = max(scores)
    if scores.count(best) == 1:
        return scores.index(best)
    equals = [number for number, score in enumerate(scores) if score == best]
    if key is None:
        return equals[dice(len(equals))]
    return equals[home(key, [slots[number] for number in equals])]
