"""Whether a fleet's checkpoints are on the nodes, whole and the same. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cluster.checking.check import Check, fail, ok, some, warn
from cluster.node_facts import printable

if TYPE_CHECKING:
    from cluster.staging import Found

NAME = "models"
STAGE = "`flotilla models stage` brings it"
#: Of what a node says.
MAX_CHARS = 100

Copies = Sequence["Found"]


def models(
    sources: Sequence[str], found: Mapping[str, Copies], local: Mapping[str, str]
) -> Mapping[str, Check]:
    """A verdict on every node: on what it has of each checkpoint, by the digest that most copies
    have, and by the root on its own disk, from where it should load.
    """
    digests = {source: _common(source, found.values()) for source in sources}

    def judged(node: str) -> Check:
        copies = {
            source: [copy for copy in found[node] if copy.source == source] for source in sources
        }
        wrong = [text for each in sources for text in _wrong(each, copies[each], digests[each])]
        if wrong:
            return fail(NAME, some(wrong), STAGE)
        doubts = [text for each in sources for text in _doubts(each, copies[each], local.get(node))]
        if doubts:
            return warn(NAME, some(doubts), STAGE)
        return ok(NAME, f"{len(sources)}, the same as elsewhere")

    return {node: judged(node) for node in found}


def _common(source: str, found: Iterable[Copies]) -> str:
    digests = Counter(
        copy.digest for copies in found for copy in copies if copy.source == source and copy.digest
    )
    return max(digests, key=lambda digest: (digests[digest], digest), default="")


def _wrong(source: str, copies: Copies, digest: str) -> Iterator[str]:
    """Why a checkpoint cannot be served from here, or not as elsewhere. A copy that is not whole is
    wrong where another is whole, too: it may be the one that is loaded.
    """
    reasons = [reason for copy in copies for reason in (copy.cause, *copy.wrong) if reason]
    if reasons:
        yield f"{source} is not whole ({printable(reasons[0])[:MAX_CHARS]})"
    elif not any(copy.is_there for copy in copies):
        yield f"{source} is not there"
    elif any(copy.digest not in ("", digest) for copy in copies):
        yield f"{source} is not that of most nodes"


def _doubts(source: str, copies: Copies, local: str | None) -> Iterator[str]:
    there = [copy for copy in copies if copy.is_there]
    if local and not any(copy.root == local for copy in there):
        yield f"{source} is on the shared root only, from where it loads slowly"
    elif not all(copy.digest for copy in there):
        yield f"{source} has no manifest to compare it by"
