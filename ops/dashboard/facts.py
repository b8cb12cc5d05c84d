"""One look at a running fleet: what its parts said, as they said it. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployments.deployed import Deployed
from deployments.ledger.lines import UsageLine
from deployments.ledger.questions import AuditRow, KeyRow, TenantRow, UsageRow
from deployments.node_agents import Measured
from deployments.serve_control import Application
from serving.in_flight import NOTHING_IN_FLIGHT, InFlight


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger said; usage is this month's, by key."""

    keys: tuple[KeyRow, ...] = ()
    tenants: tuple[TenantRow, ...] = ()
    usage: tuple[UsageRow, ...] = ()
    audit: tuple[AuditRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """The newest word of every part; of one that does not answer, the last."""

    #: Wall clock, seconds.
    at_s: float
    applications: Mapping[str, Application] = field(default_factory=dict)
    #: The Controller's status.
    controller: Mapping[str, Any] = field(default_factory=dict)
    #: None where it was deployed without an inventory.
    deployed: Deployed | None = None
    #: What is known of accelerators, by the address of their node.
    measured: Mapping[str, tuple[Measured, ...]] = field(default_factory=dict)
    books: Books = Books()
    #: As gateways told it a moment ago.
    in_flight: InFlight = NOTHING_IN_FLIGHT
    #: Newest first.
    recent: tuple[UsageLine, ...] = ()
    #: Which parts did not answer, and why.
    problems: tuple[str, ...] = ()
