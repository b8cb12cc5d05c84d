"""Filter, score, pick. Pure: the dice and the clock are parameters.

Rules
1. Everything is weighed in one unit, tokens of work. What is ahead at a replica is waited for once.
   What of the prompt it has to compute is waited for by this request and, when even the shortest
   queue is one, by those who will be behind it. So a request stays where its beginning is held
   until waiting there costs more than computing it elsewhere, the longer the busier all are, and
   a miss goes to whoever has least to do. There are no weights between scores.
   It follows that a replica is never chosen that has more ahead than the prompt itself and
   three times what the least busy one has.
2. A prompt that comes in through several gateways must go to one replica without a word between
   them. So each prompt has a home, the same for every gateway. Where others send a share of the
   requests, it is one to four that they have sent this one there: the home counts as holding a
   quarter of that share of what this gateway does not know. Behind a single gateway that is none.
3. What most replicas hold is a common beginning and says nothing of where a prompt belongs: the
   home is by the first block after it.
4. Where the caller names a session, the home is by the session. As long as nobody is known to hold
   it, that is the caller's word that the home does or will.
5. Among equals the home wins, and the dice where there is none.

For one request, with the `Router` of a gateway and the slots of a replica set:

    choice = router.choose(slots, ask, tried, now_s, dice)   # -> Choice | None; changes nothing
    flight = router.send(choice)                             # counts it and claims its prefix
    flight.began()                                           # at its first token
    flight.close()                                           # whatever became of it
    router.learn(choice, answer)                             # when the answer is complete
    router.forget(replica_id)                                # when a replica has left
"""

from bisect import bisect_right
from collections.abc import Callable, Collection

import msgspec

from serving.routing.filters import may_be_asked
from serving.routing.index import Claims, Index
from serving.routing.prefix import NO_PREFIX, Prefix
from serving.routing.rendezvous import home
from serving.routing.scorers import least_ahead, least_work
from serving.routing.table import Flight, Slot
from serving.routing.work import Traffic

Dice = Callable[[int], int]
"""n -> a number in [0, n)."""

#: The odds of rule 2. More finds more in caches and lets the slowest wait longer, less the reverse.
_HOMING = 0.25


class Ask(msgspec.Struct, frozen=True):
    """What routing knows of a request."""

    prompt_tokens: float
    #: What the caller allows for the answer; None for no bound.
    most_output_tokens: float | None = None
    prefix: Prefix = NO_PREFIX
    #: `prefix.of_session`, where the caller named one.
    session: int | None = None


class Choice(msgspec.Struct, frozen=True):
    """Where a request goes, and what is expected of it there."""

    slot: Slot
    ask: Ask
    #: Of the prompt, what has to be computed.
    prompt_tokens: float
    output_tokens: float
    #: Tokens of the prompt that the replica is claimed to hold.
    claimed_tokens: int = 0


class Answer(msgspec.Struct, frozen=True):
    """What the engine counted."""

    #: At least 1.
    prompt_tokens: int
    #: None where it does not say.
    cached_tokens: int | None
    output_tokens: int


class Router:
    """What one gateway has learned of where prompts are."""

    def __init__(self, index: Index | None = None) -> None:
        self.index = Index() if index is None else index

    def choose(
        self, slots: list[Slot], ask: Ask, tried: Collection[str], now_s: float, dice: Dice
    ) -> Choice | None:
        """The replica to send to, or None when nobody may be asked. Changes nothing."""
        able = may_be_asked(slots, tried, now_s)
        if not able:
            return None
        if ask.prefix.keys:
            return self._by_prefix(able, ask, dice)
        slot = able[pick(able, least_ahead(able), ask.session, dice)]
        return Choice(slot, ask, ask.prompt_tokens, _output_tokens(slot.traffic, ask))

    def _by_prefix(self, able: list[Slot], ask: Ask, dice: Dice) -> Choice:
        claims = self.index.look_up(ask.prefix)
        held = claims.believed([slot.replica_id for slot in able])
        key = _home_key(ask, claims, len(able))
        if key is not None:
            at_home = home(key, able)
            held[at_home] += self._beyond(able[at_home], ask, claims, len(able))
        number = pick(able, least_work(able, ask.prompt_tokens, held), key, dice)
        slot = able[number]
        missing, claimed = ask.prompt_tokens - held[number], claims.tokens(slot.replica_id)
        return Choice(slot, ask, missing, _output_tokens(slot.traffic, ask), claimed)

    def _beyond(self, slot: Slot, ask: Ask, claims: Claims, replicas: int) -> float:
        """What the home may be counted on to hold beyond what is claimed of it."""
        is_known = claims.most_tokens > claims.common_tokens(replicas)
        is_promised = ask.session is not None and not is_known
        odds = 1.0 if is_promised else slot.traffic.others_share * _HOMING
        unknown = ask.prefix.tokens - claims.tokens(slot.replica_id)
        return unknown * odds * self.index.credit(slot.replica_id)

    def send(self, choice: Choice) -> Flight:
        """Claims the prefix for the replica; the work counts until the flight is closed."""
        slot, prefix = choice.slot, choice.ask.prefix
        if prefix.keys:
            self.index.record(slot.replica_id, prefix)
        slot.traffic.sent(choice.prompt_tokens)
        return Flight(slot, choice.prompt_tokens, choice.output_tokens)

    def learn(self, choice: Choice, answer: Answer) -> None:
        """What the engine found in its cache says what claims on it are worth."""
        if choice.claimed_tokens and answer.cached_tokens is not None:
            # In tokens as routing counts them.
            cached = answer.cached_tokens / answer.prompt_tokens * choice.ask.prompt_tokens
            self.index.correct(choice.slot.replica_id, choice.claimed_tokens, cached)
        choice.slot.traffic.answered(answer.output_tokens)

    def forget(self, replica_id: str) -> None:
        self.index.forget(replica_id)


def _home_key(ask: Ask, claims: Claims, replicas: int) -> int | None:
    if ask.session is not None:
        return ask.session
    keys = ask.prefix.keys
    common = claims.common_tokens(replicas) if replicas > 1 else 0
    first = bisect_right(ask.prefix.ends_tokens, common, hi=len(keys))
    return keys[first] if first < len(keys) else None


def _output_tokens(traffic: Traffic, ask: Ask) -> float:
    typical, most = traffic.output_tokens, ask.most_output_tokens
    return typical if most is None else min(typical, most)


def pick(slots: list[Slot], scores: list[float], key: int | None, dice: Dice) -> int:
    """The place of one of the best. Among equals every gateway takes the same for the same key;
    without a key by chance, since several gateways on the same old figures must not agree.
    """
    if len(scores) == 1:
        return 0
    best = max(scores)
    if scores.count(best) == 1:
        return scores.index(best)
    equals = [number for number, score in enumerate(scores) if score == best]
    if key is None:
        return equals[dice(len(equals))]
    return equals[home(key, [slots[number] for number in equals])]
