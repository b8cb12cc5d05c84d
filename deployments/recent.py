"""The requests that ended last, as gateways brought their records to the ledger. Pure.

Their lines are kept as they came and read when somebody asks: nothing here is on the path of a
request.
"""

from collections import deque
from itertools import islice

from deployments.ledger.lines import UsageLine, usage_lines

#: Some three hundred bytes each.
MOST = 10_000


class Recent:
    """The newest `MOST` records."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=MOST)

    def add(self, lines: bytes) -> None:
        self._lines.extend(lines.splitlines())

    def newest(self, most: int) -> tuple[UsageLine, ...]:
        """Newest first; a line that is no record is left out."""
        return usage_lines(b"\n".join(islice(reversed(self._lines), most))).records
