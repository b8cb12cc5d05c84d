"""What an operator may do to the ledger: values that travel from the command to the Controller.
Each leaves one record in the audit.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.limits.terms import LIMIT_NAMES, NO_LIMITS, Limits, Priority

DEFAULT_TENANT = "default"
MOST_WEIGHT = 1_000
NAME_CHARS = 64
#: A key may be limited to so many models.
KEY_MODELS = 100
#: After a rotation the old secret is taken at most this long.
MOST_OVERLAP_S = 30 * 86_400

NewLimits = Mapping[str, int | None]
"""By name; None lifts one, and those that are not there stay as they are."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")


@dataclass(frozen=True, slots=True)
class CreateKey:
    name: str
    tenant: str = DEFAULT_TENANT
    #: From now; None is never.
    lifetime_s: int | None = None
    #: None is all.
    models: tuple[str, ...] | None = None
    limits: Limits = NO_LIMITS
    #: For benchmarks: `ignore_eos` does not exist for other keys.
    may_ignore_eos: bool = False

    @property
    def subject(self) -> str:
        return self.name

    def problem(self) -> str | None:
        """Why it cannot be, as far as that can be said without the ledger."""
        if self.lifetime_s is not None and self.lifetime_s < 1:
            return "a key lives for at least a second"
        if self.models is not None and not 1 <= len(self.models) <= KEY_MODELS:
            return f"a key is limited to 1 to {KEY_MODELS} models, or to none by leaving it out"
        return _name_problem(self.name)


@dataclass(frozen=True, slots=True)
class ChangeKey:
    """Other limits from now on; what was used stays used."""

    key_id: str
    limits: NewLimits

    @property
    def subject(self) -> str:
        return self.key_id

    def problem(self) -> str | None:
        return _limits_problem(self.limits)


@dataclass(frozen=True, slots=True)
class RotateKey:
    """A new secret under the same id; the old one is taken for `overlap_s` more."""

    key_id: str
    overlap_s: int

    @property
    def subject(self) -> str:
        return self.key_id

    def problem(self) -> str | None:
        if not 0 <= self.overlap_s <= MOST_OVERLAP_S:
            return f"the old secret is taken for 0 s to {MOST_OVERLAP_S // 86_400} days"
        return None


@dataclass(frozen=True, slots=True)
class RevokeKey:
    key_id: str

    @property
    def subject(self) -> str:
        return self.key_id

    def problem(self) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class CreateTenant:
    name: str
    weight: int = 1
    priority: Priority = Priority.STANDARD
    #: Of all its keys together.
    limits: Limits = NO_LIMITS

    @property
    def subject(self) -> str:
        return self.name

    def problem(self) -> str | None:
        return _name_problem(self.name) or _weight_problem(self.weight)


@dataclass(frozen=True, slots=True)
class ChangeTenant:
    """None leaves it as it is."""

    name: str
    weight: int | None = None
    priority: Priority | None = None
    limits: NewLimits = field(default_factory=dict)

    @property
    def subject(self) -> str:
        return self.name

    def problem(self) -> str | None:
        weight = None if self.weight is None else _weight_problem(self.weight)
        return weight or _limits_problem(self.limits)


@dataclass(frozen=True, slots=True)
class ScaleModel:
    """Another number of replicas from now on."""

    model: str
    count: int
    #: How many there were to be when it was given.
    seen: int

    @property
    def subject(self) -> str:
        return self.model

    def problem(self) -> str | None:
        return None if self.count >= 0 else "a number of replicas is not negative"


@dataclass(frozen=True, slots=True)
class RestartReplica:
    """Stops it when it has finished what it has, and starts it anew."""

    replica: str
    #: Of the start that was seen.
    replica_id: str

    @property
    def subject(self) -> str:
        return self.replica

    def problem(self) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class DrainReplica:
    """One replica fewer: this one, when it has finished what it has."""

    replica: str
    replica_id: str

    @property
    def subject(self) -> str:
        return self.replica

    @property
    def model(self) -> str:
        return self.replica.rpartition(".")[0]

    def problem(self) -> str | None:
        return None


Order = ScaleModel | RestartReplica | DrainReplica
"""What the fleet is told. The Controller does it; the ledger has its line in the audit alone."""


@dataclass(frozen=True, slots=True)
class ChangeFleet:
    """What runs was changed, or was meant to be. The ledger has no part in it: see `notes`."""

    #: `deploy`, `up` or `down`.
    command: str
    #: The file that it was given.
    path: str
    #: SHA-256 of the file.
    digest: str
    began_s: int
    #: What was done, in order: `add flotilla`.
    steps: tuple[str, ...]
    outcome: str

    @property
    def subject(self) -> str:
        return self.path


Act = CreateKey | ChangeKey | RotateKey | RevokeKey | CreateTenant | ChangeTenant | Order


def _name_problem(name: str) -> str | None:
    if len(name) <= NAME_CHARS and _NAME.fullmatch(name):
        return None
    return (
        f"a name has 1 to {NAME_CHARS} letters, digits, `.`, `_`, `@` and `-`, "
        "and begins with a letter or digit"
    )


def _limits_problem(limits: NewLimits) -> str | None:
    unknown = [name for name in limits if name not in LIMIT_NAMES]
    if unknown:
        return f"there is no limit called {unknown[0]}: there are {', '.join(LIMIT_NAMES)}"
    try:
        Limits(**limits)
    except ValueError as wrong:
        return str(wrong)
    return None


def _weight_problem(weight: int) -> str | None:
    return None if 1 <= weight <= MOST_WEIGHT else f"a weight is 1 to {MOST_WEIGHT}"
