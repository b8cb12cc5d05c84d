"""Lays beside each other what clients saw, what engines did and what the ledger holds. Pure.

Rules
1. An answer that its client has whole is one record, complete, of that key, with as many tokens as
   the client counted. No more engines made it whole than the record has attempts: one that stood
   still until its gateway asked another may finish what nobody waits for.
2. A stream that was cut is one record, and no complete one.
3. A request refused for itself (4xx) is none, but where its tokens had to be counted first.
4. Every record is of a request that somebody made: one whose id its client or an engine knows.
   Clients that left or were cut off without an answer know no id; there are no more records that
   nobody knows than such clients.
5. What an engine ran is recorded, whoever was killed meanwhile.
6. Daily sums are those of the records.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.soak.asking import COMPLETE, LEFT, Asked
from tests.soak.engine import Ran

#: Found when the request is accepted already.
LONG = "400 context_length_exceeded"
#: Of each rule that is broken.
EXAMPLES = 5
ENDED = {COMPLETE: ("complete",), LEFT: ("client_gone", "complete", "cut", "refused")}
CUT = ("cut",)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row of the ledger."""

    request_id: str
    key_id: str
    outcome: str
    completion_tokens: int
    replica_id: str
    #: `settle.Source`.
    source: str
    started_s: float
    #: Replicas that were asked, one after the other.
    attempts: int


@dataclass(frozen=True, slots=True)
class Books:
    asked: Sequence[Asked]
    ran: Sequence[Ran]
    recorded: Sequence[Recorded]
    #: Of all days together.
    summed_requests: int
    summed_tokens: int

    def lost(self) -> list[str]:
        """Answers and cut streams without their record."""
        known = {each.request_id for each in self.recorded}
        heard = (each for each in self.asked if each.is_answered or _is_cut(each))
        return [
            f"{each.request_id} ({each.kind})" for each in heard if each.request_id not in known
        ]

    def doubled(self) -> list[str]:
        """Records that stand twice, were answered to two clients, or were made whole by more
        engines than were asked.
        """
        rows = Counter(each.request_id for each in self.recorded)
        heard = Counter(each.request_id for each in self.asked)
        whole = Counter(each.request_id for each in self.ran if each.is_whole)
        attempts = {each.request_id: each.attempts for each in self.recorded}
        return [
            name
            for name, asked_engines in attempts.items()
            if rows[name] > 1 or heard[name] > 1 or whole[name] > asked_engines
        ]

    def findings(self) -> list[str]:
        """What should not be so, in words; none is what a soak is for."""
        rules = {
            "lost": self.lost(),
            "doubled": self.doubled(),
            "recorded otherwise than its client saw": self._differing(),
            "refused and recorded": self._refused(),
            "recorded and known to nobody": self._unknown(),
            "run and not recorded": self._unrecorded(),
            "summed otherwise than recorded": self._sums(),
        }
        return [
            f"{len(found)} {words}: {', '.join(found[:EXAMPLES])}"
            for words, found in rules.items()
            if found
        ]

    def _differing(self) -> list[str]:
        records = {each.request_id: each for each in self.recorded}
        found = []
        for asked in self.asked:
            record = records.get(asked.request_id or "")
            if record is not None and (why := _difference(asked, record)):
                found.append(f"{asked.request_id} {why}")
        return found

    def _refused(self) -> list[str]:
        known = {each.request_id for each in self.recorded}
        refused = (each for each in self.asked if each.kind.startswith("4") and each.kind != LONG)
        return [f"{each.request_id} ({each.kind})" for each in refused if each.request_id in known]

    def _unknown(self) -> list[str]:
        known = {each.request_id for each in self.asked} | {each.request_id for each in self.ran}
        unknown = [each.request_id for each in self.recorded if each.request_id not in known]
        unheard = sum(each.request_id is None for each in self.asked)
        return unknown if len(unknown) > unheard else []

    def _unrecorded(self) -> list[str]:
        known = {each.request_id for each in self.recorded}
        kinds = {each.number: each.kind for each in self.asked}
        missing = {each.request_id: each for each in self.ran if each.request_id not in known}
        return [f"{name} ({kinds.get(ran.number)})" for name, ran in missing.items()]

    def _sums(self) -> list[str]:
        tokens = sum(each.completion_tokens for each in self.recorded)
        held, summed = (len(self.recorded), tokens), (self.summed_requests, self.summed_tokens)
        return [] if held == summed else [f"{summed} for {held} requests and tokens"]

    def kinds(self) -> Mapping[str, int]:
        return dict(Counter(each.kind for each in self.asked).most_common())

    def most_in_a_minute(self, key_id: str) -> int:
        """Requests of a key that were let in."""
        return most_within(sorted(r.started_s for r in self.recorded if r.key_id == key_id), 60.0)

    def tokens(self) -> Mapping[str, int]:
        """Completion tokens, by where they were counted."""
        by_source: dict[str, int] = defaultdict(int)
        for each in self.recorded:
            by_source[each.source] += each.completion_tokens
        whole = sum(each.tokens or 0 for each in self.asked if each.is_answered)
        return {"clients": whole, "engines": sum(r.tokens for r in self.ran), **by_source}


def _is_cut(asked: Asked) -> bool:
    return asked.kind.startswith("200 cut")


def _difference(asked: Asked, record: Recorded) -> str:
    """Why a record is not that of what the client saw; empty where it is."""
    wanted = CUT if _is_cut(asked) else ENDED.get(asked.kind)
    if record.key_id != asked.key_id:
        return "is of another key"
    if wanted is not None and record.outcome not in wanted:
        return f"is {record.outcome}, its client saw {asked.kind}"
    if asked.is_answered and asked.tokens not in (None, record.completion_tokens):
        return f"has {record.completion_tokens} tokens, its client {asked.tokens}"
    return ""


def most_within(moments_s: Sequence[float], width_s: float) -> int:
    """Of these moments, in their order, within any stretch of that width."""
    return max(_counts(moments_s, width_s), default=0)


def _counts(moments_s: Sequence[float], width_s: float) -> Iterator[int]:
    first = 0
    for last, moment_s in enumerate(moments_s):
        while moments_s[first] <= moment_s - width_s:
            first += 1
        yield last - first + 1


def problems(asked: Iterable[Asked]) -> list[str]:
    """Answers that are none of those promised."""
    return [f"request {each.number}: {each.problem}" for each in asked if each.problem]
