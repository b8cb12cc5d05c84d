"""The first tables. Written out, not taken from `schema.py`: what a database went through stays."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Makes all tables."""
    _keys()
    _usage()
    op.create_table(
        "audit",
        sa.Column("number", _ROW_NUMBER, primary_key=True),
        sa.Column("at_s", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("who", "act", "subject", "detail")),
    )


def _keys() -> None:
    op.create_table(
        "tenants",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("created_s", sa.BigInteger, nullable=False),
        sa.Column("weight", sa.Integer, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, sa.ForeignKey("tenants.name"), nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_s", sa.BigInteger, nullable=False),
        sa.Column("expires_s", sa.BigInteger),
        sa.Column("revoked_s", sa.BigInteger),
        sa.Column("old_digest", sa.LargeBinary),
        sa.Column("old_until_s", sa.BigInteger),
        sa.Column("models", sa.Text),
        sa.Column("requests_per_minute", sa.BigInteger),
        sa.Column("tokens_per_minute", sa.BigInteger),
        sa.Column("concurrent", sa.BigInteger),
        sa.Column("tokens_per_month", sa.BigInteger),
    )


def _usage() -> None:
    op.create_table(
        "usage",
        sa.Column("request_id", sa.Text, primary_key=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("day", "tenant", "key_id", "model", "model_asked", "replica_id")
        ),
        *_sums(),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("started_s", sa.Float(53), nullable=False),
        sa.Column("duration_s", sa.Float(53), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
    op.create_index("usage_day", "usage", ["day"])
    op.create_table(
        "engine_counts",
        sa.Column("replica_id", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("day", sa.Text, nullable=False),
        *_sums(),
    )
    op.create_index("engine_counts_request", "engine_counts", ["request_id"])
    op.create_index("engine_counts_day", "engine_counts", ["day"])
    op.create_table(
        "usage_daily",
        *(
            sa.Column(name, sa.Text, primary_key=True)
            for name in ("day", "tenant", "key_id", "model")
        ),
        sa.Column("requests", sa.BigInteger, nullable=False),
        *_sums(),
    )
    op.create_table(
        "rejected_lines",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("received_s", sa.BigInteger, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("line", sa.LargeBinary, nullable=False),
    )


def _sums() -> list[sa.Column[Any]]:
    tokens = ("prompt_tokens", "cached_tokens", "completion_tokens")
    return [
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in tokens),
        sa.Column("accelerator_s", sa.Float(53), nullable=False),
    ]
