"""Every metric of ours, and nothing else. vLLM's own stand beside these on a replica's port.

Rules
1. A label's values come from a closed set: models of the fleet, routes, statuses, outcomes,
   reasons and phases of ours. Nothing that a client sends becomes one, nor does a key, a tenant,
   an address or an id.
2. Which process it was, Prometheus says by itself: the targets carry `part`, `node` and `instance`.
3. A name keeps its meaning; another meaning is another name.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. A counter's name ends in `_total` in the text, and here it does not."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def exposed(self) -> tuple[str, ...]:
        """The names under which it is asked for."""
        match self.kind:
            case Kind.COUNTER:
                return (f"{self.name}_total",)
            case Kind.GAUGE:
                return (self.name,)
            case Kind.HISTOGRAM:
                return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))


# Of every gateway: its own requests.
REQUESTS = Family(
    "flotilla_requests",
    Kind.COUNTER,
    "Accepted requests that have ended, by the model asked for and how they ended.",
    ("model", "outcome"),
)
FALLBACKS = Family(
    "flotilla_fallbacks",
    Kind.COUNTER,
    "Requests that another model answered, by the model asked for.",
    ("model",),
)
RETRIES = Family(
    "flotilla_retries", Kind.COUNTER, "Tries at a second replica and further ones.", ("model",)
)
TOKENS = Family(
    "flotilla_tokens",
    Kind.COUNTER,
    "Tokens of prompts, those of them that were in a cache, and tokens of completions.",
    ("model", "kind"),
)
DURATION = Family(
    "flotilla_request_duration_seconds",
    Kind.HISTOGRAM,
    "From a whole request to its end.",
    ("model",),
)
FIRST_TOKEN = Family(
    "flotilla_first_token_seconds",
    Kind.HISTOGRAM,
    "From a whole request to the first token of its stream.",
    ("model",),
)
BETWEEN_TOKENS = Family(
    "flotilla_between_tokens_seconds",
    Kind.HISTOGRAM,
    "Between two tokens, on average over a stream.",
    ("model",),
)
QUEUED = Family(
    "flotilla_queued_requests",
    Kind.GAUGE,
    "Requests that wait in this gateway for a replica or for a place at one.",
    ("model",),
)
IN_FLIGHT = Family(
    "flotilla_in_flight_requests",
    Kind.GAUGE,
    "Requests that this gateway has at the replicas of a model.",
    ("model",),
)
LEFT_OUT = Family(
    "flotilla_replicas_left_out",
    Kind.GAUGE,
    "Replicas that this gateway does not ask at present, since they failed it.",
    ("model",),
)
ANSWERS = Family(
    "flotilla_answers",
    Kind.COUNTER,
    "Answers of every kind; the status is 499 where the client left before there was one.",
    ("route", "status"),
)
REFUSALS = Family(
    "flotilla_refusals", Kind.COUNTER, "Answers that are errors, by their reason.", ("reason",)
)
CONNECTIONS = Family("flotilla_client_connections", Kind.GAUGE, "Clients that are connected.")
CONTROLLER_SILENCE = Family(
    "flotilla_controller_silence_seconds",
    Kind.GAUGE,
    "Since the Controller told this gateway which keys hold.",
)
USAGE_BUFFERED = Family(
    "flotilla_usage_buffered_records",
    Kind.GAUGE,
    "Usage records in memory that the disk did not take; at 10,000 new requests are refused.",
)
USAGE_UNSHIPPED = Family(
    "flotilla_usage_unshipped_bytes",
    Kind.GAUGE,
    "Usage records on this gateway's disk that the ledger does not have yet.",
)
CERTIFICATE_EXPIRES = Family(
    "flotilla_certificate_expires_timestamp_seconds",
    Kind.GAUGE,
    "When the gateway's TLS certificate expires; none where it speaks plain HTTP.",
)
LOG_DROPPED = Family(
    "flotilla_access_log_dropped_lines",
    Kind.COUNTER,
    "Lines of the access log that the disk did not take, or that came faster than it is written.",
)

# Of the Controller: the fleet.
GATEWAYS = Family("flotilla_gateways", Kind.GAUGE, "Gateways that were heard of lately.")
REPLICAS = Family(
    "flotilla_replicas", Kind.GAUGE, "Replicas by model and phase.", ("model", "phase")
)
REPLICAS_WANTED = Family(
    "flotilla_replicas_wanted",
    Kind.GAUGE,
    "Replicas that the fleet and its demand ask for; without an inventory, those of the fleet.",
    ("model",),
)
REPLICAS_SILENT = Family(
    "flotilla_replicas_silent",
    Kind.GAUGE,
    "1 where a replica of the model has not reported for seconds.",
    ("model",),
)
NODE_SUSPECT = Family(
    "flotilla_node_suspect",
    Kind.GAUGE,
    "1 for each node whose driver answers for fewer accelerators than the inventory says.",
    ("address",),
)
KEYS = Family("flotilla_keys", Kind.GAUGE, "Keys that gateways take.")
KEYS_CURRENT = Family(
    "flotilla_keys_current",
    Kind.GAUGE,
    "1 while the ledger's keys could be read, 0 while nobody can say which hold.",
)
QUARANTINED = Family(
    "flotilla_quarantined_requests",
    Kind.GAUGE,
    "Requests that replicas died with and that are sent to none any more.",
)

# Of every replica, beside vLLM's.
REPLICA_IN_FLIGHT = Family(
    "flotilla_replica_in_flight_requests", Kind.GAUGE, "Requests that are inside vLLM's app."
)
REPLICA_LOST_COUNTS = Family(
    "flotilla_replica_lost_counts",
    Kind.COUNTER,
    "Counts of single requests that the ledger never got: the gateways' own figures stand.",
)

GATEWAY = (
    *(REQUESTS, FALLBACKS, RETRIES, TOKENS, DURATION, FIRST_TOKEN, BETWEEN_TOKENS),
    *(QUEUED, IN_FLIGHT, LEFT_OUT, ANSWERS, REFUSALS, CONNECTIONS, CONTROLLER_SILENCE),
    *(USAGE_BUFFERED, USAGE_UNSHIPPED, CERTIFICATE_EXPIRES, LOG_DROPPED),
)
CONTROLLER = (
    *(GATEWAYS, REPLICAS, REPLICAS_WANTED, REPLICAS_SILENT, NODE_SUSPECT),
    *(KEYS, KEYS_CURRENT, QUARANTINED),
)
REPLICA = (REPLICA_IN_FLIGHT, REPLICA_LOST_COUNTS)
ALL = (*GATEWAY, *CONTROLLER, *REPLICA)
