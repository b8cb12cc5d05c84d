"""Limits of tenants, budgets in money, and what each request has cost: nothing had a price."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TENANT_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrent", "tokens_per_month")
_USAGE = ("input_nanos", "cached_input_nanos", "output_nanos", "cost_nanos")


def upgrade() -> None:
    """Adds columns; a table of many millions of rows is not written anew."""
    for name in (*_TENANT_LIMITS, "nanos_per_month"):
        op.add_column("tenants", sa.Column(name, sa.BigInteger))
    op.add_column("keys", sa.Column("nanos_per_month", sa.BigInteger))
    for name in _USAGE:
        _add_money("usage", name)
    _add_money("usage_daily", "cost_nanos")


def _add_money(table: str, name: str) -> None:
    op.add_column(table, sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
