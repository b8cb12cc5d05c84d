"""Whether keys that were read a while ago still say anything. Pure.

Nobody but the Controller changes the ledger, so while it cannot be read its keys are old news, not
no news: they hold for an hour, as they do for a gateway that cannot reach the Controller. A ledger
that is damaged is another matter: what it said last may have been wrong already.
"""

from dataclasses import dataclass

#: Without an answer of the ledger.
UNREACHABLE_S = 3600.0
#: With answers that say it is damaged.
UNUSABLE_S = 60.0


@dataclass(frozen=True, slots=True)
class Trust:
    """Times of one clock, in seconds."""

    #: When the ledger was last read.
    read_s: float
    #: Since when it says that it cannot be used; None where it says nothing, or something else.
    unusable_since_s: float | None = None

    def holds(self, now_s: float) -> bool:
        if now_s - self.read_s >= UNREACHABLE_S:
            return False
        return self.unusable_since_s is None or now_s - self.unusable_since_s < UNUSABLE_S

    def failed(self, now_s: float, *, is_unusable: bool) -> "Trust":
        """After a read that did not succeed."""
        if not is_unusable:
            return Trust(self.read_s)
        since_s = now_s if self.unusable_since_s is None else self.unusable_since_s
        return Trust(self.read_s, since_s)
