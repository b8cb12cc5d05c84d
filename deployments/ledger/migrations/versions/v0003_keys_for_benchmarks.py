"""Keys that may ask for answers of an exact length; none could before."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds a column."""
    may = sa.Column("may_ignore_eos", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("keys", may)
