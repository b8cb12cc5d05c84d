"""What can go wrong with the ledger.

LedgerError
├── LedgerUnreachable   locked, down or full: the same call may succeed later
├── LedgerUnusable      another version, another program's database, damaged, not ours to read
└── ActRefused          an operator asked for what cannot be; nothing was changed
"""

from deployments.errors import DeploymentError


class LedgerError(DeploymentError):
    """Its text is for the operator."""


class LedgerUnreachable(LedgerError):
    """Locked, down or full: the same call may succeed later."""


class LedgerUnusable(LedgerError):
    """Damaged, of another version, or not ours to read: somebody has to look."""


class ActRefused(LedgerError):
    """An operator asked for what cannot be; nothing was changed."""
