"""The tables, the same in SQLite and PostgreSQL. A change here needs a migration beside it, and a
test compares the two.

Times are whole seconds since 1970 (`_s`), days `YYYY-MM-DD` in UTC, money whole billionths
(`_nanos`). No secret is in any table, only
SHA-256 of 256 random bits.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
)

from deployments.ledger.limit_columns import limit_columns

METADATA = MetaData()
#: SQLite numbers rows by itself only where the type is exactly INTEGER.
_ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")


def _money(name: str) -> Column[Any]:
    """In billionths; 0 where the model had no price."""
    return Column(name, BigInteger, nullable=False, server_default="0")


TENANTS = Table(
    "tenants",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("created_s", BigInteger, nullable=False),
    #: Share of a saturated model against other tenants.
    Column("weight", Integer, nullable=False),
    #: The highest priority class that the tenant's keys may claim.
    Column("priority", Integer, nullable=False),
    *limit_columns(),
)

KEYS = Table(
    "keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("tenant", Text, ForeignKey("tenants.name"), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("created_s", BigInteger, nullable=False),
    Column("expires_s", BigInteger),
    Column("revoked_s", BigInteger),
    #: Of the secret before the last rotation, taken until then.
    Column("old_digest", LargeBinary),
    Column("old_until_s", BigInteger),
    #: JSON list of model names; NULL is all.
    Column("models", Text),
    #: Answers of an exact length, for benchmarks.
    Column("may_ignore_eos", Boolean, nullable=False, server_default=false()),
    *limit_columns(),
)

#: One row per accepted request.
USAGE = Table(
    "usage",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("day", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_asked", Text, nullable=False),
    Column("replica_id", Text, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("accelerator_s", Float(53), nullable=False),
    Column("outcome", Text, nullable=False),
    #: Where the tokens are from: `settle.Source`.
    Column("source", Text, nullable=False),
    Column("started_s", Float(53), nullable=False),
    Column("duration_s", Float(53), nullable=False),
    Column("attempts", Integer, nullable=False),
    #: Of a token, when it was used; so that what an engine tells later is charged the same.
    _money("input_nanos"),
    _money("cached_input_nanos"),
    _money("output_nanos"),
    _money("cost_nanos"),
    Index("usage_day", "day"),
)

#: What engines counted; several rows of one request where it was tried twice or fanned out.
ENGINE_COUNTS = Table(
    "engine_counts",
    METADATA,
    Column("replica_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("request_id", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("accelerator_s", Float(53), nullable=False),
    Index("engine_counts_request", "request_id"),
    Index("engine_counts_day", "day"),
)

#: Sums of `usage`, changed in the transaction that changes it.
USAGE_DAILY = Table(
    "usage_daily",
    METADATA,
    Column("day", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("accelerator_s", Float(53), nullable=False),
    _money("cost_nanos"),
)

#: Lines that are no record of ours: kept for whoever has to find out why, never counted.
REJECTED_LINES = Table(
    "rejected_lines",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("received_s", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("line", LargeBinary, nullable=False),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("number", _ROW_NUMBER, primary_key=True),
    Column("at_s", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("subject", Text, nullable=False),
    #: JSON object.
    Column("detail", Text, nullable=False),
)
