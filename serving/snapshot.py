"""What replicas tell the Controller and what the Controller tells gateways: values only, no I/O.

A gateway routes on the newest snapshot it has; a snapshot is whole, never a difference, so a lost
one costs nothing.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from serving.counts import ModelCounts
from serving.limits.terms import NO_LIMITS, Limits, Priority
from serving.quarantine import Death

#: The ingress application (gateways and the Controller) and the Controller's deployment in it.
INGRESS_APPLICATION = "flotilla"
CONTROLLER_DEPLOYMENT = "Controller"
GATEWAY_DEPLOYMENT = "Gateway"


class Phase(StrEnum):
    """Where a replica is in its life, as far as a gateway cares."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Load:
    """One moment of an engine's work; counts are requests, `kv_use` is a share in [0, 1]."""

    waiting: int = 0
    running: int = 0
    kv_use: float = 0.0
    tokens_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What bounds the tokens of a text without counting them, measured on the replica's own
    tokenizer.

    tokens <= UTF-8 bytes + `request_overhead_tokens` + messages * `message_overhead_tokens`, and
    tokens >= UTF-8 bytes / `longest_token_bytes`.
    """

    request_overhead_tokens: int
    message_overhead_tokens: int
    longest_token_bytes: int


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """A replica's word about itself, sent a few times a second."""

    #: Application name and a random part made at every start: a restarted replica is another one.
    replica_id: str
    #: The Serve application, `<model>.<n>`.
    application: str
    #: The model whose replicas these are; other public models may share them.
    replica_set: str
    node: str
    #: Node address of every stage, leader first.
    stages: tuple[str, ...]
    #: `host:port` of the engine's HTTP, empty until it listens.
    address: str
    #: The name the engine puts into `model` of its replies.
    served_name: str
    phase: Phase
    window_tokens: int = 0
    facts: TokenFacts | None = None
    load: Load = field(default_factory=Load)
    #: Requests that the engine runs at once; 0 where it does not say.
    most_running: int = 0
    #: Process ids of the leader, so that an operator (and a test) can tell one start from the next.
    pid: int = 0


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is stored: the secret itself is nowhere."""

    id: str
    name: str
    #: SHA-256 of the secret part.
    digest: bytes
    created_s: int
    limits: Limits = NO_LIMITS
    #: Whose key it is; keys of one tenant share its place in a queue. Empty: a tenant of its own.
    tenant: str = ""
    #: The tenant's share of a saturated model against the others', 1 to 1,000; its keys agree.
    weight: int = 1
    #: Of all its keys together; they agree on this too.
    tenant_limits: Limits = NO_LIMITS
    #: The highest class that the key may claim.
    priority: Priority = Priority.STANDARD
    #: Wall clock, seconds; from then on it is refused.
    expires_s: int | None = None
    #: The models it may ask for, by name; None is all.
    models: frozenset[str] | None = None
    #: SHA-256 of the secret before the last rotation, which is taken until `old_until_s`.
    old_digest: bytes | None = None
    old_until_s: int = 0
    #: May ask for answers of an exact length, as benchmarks do.
    may_ignore_eos: bool = False

    @property
    def holder(self) -> str:
        """Whose key it is: its tenant, or itself where it has none."""
        return self.tenant or self.id


@dataclass(frozen=True, slots=True)
class MonthUse:
    """What a holder has used since the month began in UTC, as far as it has been counted."""

    holder: str
    tokens: int
    nanos: int = 0


@dataclass(frozen=True, slots=True)
class Outlook:
    """When a replica set without any replica will have one: its requests may wait for it."""

    replica_set: str
    #: From the moment of the snapshot, as far as anyone can tell.
    ready_in_s: float


class KeyNews(StrEnum):
    """What a snapshot's keys are worth."""

    CURRENT = "current"
    #: The Controller has not read any since it started: a gateway goes on with those it has.
    UNREAD = "unread"
    #: They could not be read for so long that nobody can say which still hold.
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """What a key has used of one model in a month."""

    key_id: str
    model: str
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    tenant: str = ""
    #: What it cost, where the model has a price.
    nanos: int = 0


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The usage of all keys in one calendar month, UTC, as the ledger has it."""

    #: `YYYY-MM`; empty before the ledger was asked.
    month: str = ""
    #: Wall clock, seconds.
    as_of_s: int = 0
    keys: tuple[KeyUsage, ...] = ()


NO_USAGE = UsageReport()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a gateway must know and cannot see for itself."""

    version: int
    keys: tuple[KeyRecord, ...]
    replicas: tuple[ReplicaReport, ...]
    #: Bearer token of the engine ports.
    internal_token: str = field(repr=False)
    outlooks: tuple[Outlook, ...] = ()
    #: Of the holders that have a limit for the month.
    month: tuple[MonthUse, ...] = ()
    #: Requests that replicas died with, as all gateways together know them.
    deaths: tuple[Death, ...] = ()
    key_news: KeyNews = KeyNews.CURRENT
    usage: UsageReport = NO_USAGE


@dataclass(frozen=True, slots=True)
class DemandReport:
    """What clients ask of a replica set at one gateway. Counts are since the gateway's start."""

    replica_set: str
    arrivals: int = 0
    #: Requests that wait here, for a first replica or for a place.
    queued: int = 0
    #: Of the prompts of all requests that are not answered yet, roughly.
    tokens_in_flight: int = 0
    #: Times to the first token of streams, as `serving.histogram` counts them.
    first_tokens: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """A gateway's word about itself, sent with each request for a snapshot."""

    gateway_id: str
    node: str
    pid: int
    address: str
    #: Requests in flight per replica id.
    in_flight: tuple[tuple[str, int], ...] = ()
    demands: tuple[DemandReport, ...] = ()
    #: Requests that replicas died with, as far as this gateway knows.
    deaths: tuple[Death, ...] = ()
    #: Ids of replicas that it leaves out at present, since they fail it.
    left_out: tuple[str, ...] = ()
    #: Of the requests that ended here, since its start.
    counts: tuple[ModelCounts, ...] = ()
    #: `host:port` of its metrics.
    metrics_address: str = ""
