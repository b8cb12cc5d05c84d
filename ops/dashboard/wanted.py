"""The fleet that somebody wants to run: from a text that he pasted, or one that ran before. Says
what is wrong with a text as the commands do, with its line.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.problem import Problem
from deployments.errors import FleetInvalid
from deployments.fleet import Fleet
from deployments.load import parse
from deployments.past_fleets import PastFleet
from deployments.yaml_text import read

#: A text that comes with no name of a file, or with one that is none.
UNNAMED = "fleet.yaml"
NAME_CHARS = 80
#: A pasted text lies nowhere: paths in it that are relative are refused before this is joined.
NOWHERE = Path("/")
RELATIVE = ("./", "../")
ELSEWHERE = "is a path from the fleet file, which lies nowhere here: begin it with `/`"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fleet that is right by itself."""

    fleet: Fleet
    #: `deploy` or `rollback`.
    command: str
    #: What errors and the audit call it.
    name: str
    #: SHA-256 of its text, or of its values where it has none.
    digest: str
    #: Empty for one that ran before.
    text: bytes = b""

    def placed(self, found: Iterable[Problem]) -> tuple[Problem, ...]:
        """Problems that came up later, with their lines where there are any."""
        return tuple(read(self.text, self.name).placed(found) if self.text else found)

    @property
    def notes(self) -> list[str]:
        """What of it is not followed."""
        named = self.fleet.inventory
        kept = f"planned on the nodes that the fleet runs on now, not on {named}"
        return [] if named is None else [f"{kept}: `flotilla deploy` changes nodes"]


def pasted(text: str, name: str) -> Wanted:
    """Raises FleetInvalid."""
    is_name = 0 < len(name) <= NAME_CHARS and name.isprintable() and "/" not in name
    name = name if is_name else UNNAMED
    raw = text.replace("\r\n", "\n").encode()
    adrift = list(_adrift(raw, name))
    if adrift:
        raise FleetInvalid(adrift)
    fleet = parse(raw, name, NOWHERE)
    return Wanted(fleet, "deploy", name, hashlib.sha256(raw).hexdigest(), raw)


def again(past: PastFleet) -> Wanted:
    return Wanted(past.fleet, "rollback", f"the fleet {past.id[:12]}", past.id)


def _adrift(raw: bytes, name: str) -> Iterator[Problem]:
    """Sources that are looked for beside a file that is not there."""
    document = read(raw, name)
    models = document.value.get("models") if isinstance(document.value, dict) else None
    if not isinstance(models, dict) or document.problems:
        return
    for model, body in models.items():
        source = body.get("source") if isinstance(body, dict) else None
        if isinstance(source, str) and source.startswith(RELATIVE):
            path = ("models", model, "source")
            yield Problem(path, ELSEWHERE, document.where(path))
