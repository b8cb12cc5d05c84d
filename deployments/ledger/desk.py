"""Does what an operator asks: each act in one transaction with its line in the audit."""

from typing import assert_never

from sqlalchemy import Connection

from deployments.ledger import acts, audit, keys, reconcile, reports, tenants
from deployments.ledger.errors import ActRefused
from serving.keys import Dice

Answer = (
    tuple[acts.KeyRow, ...]
    | tuple[acts.TenantRow, ...]
    | tuple[acts.AuditRow, ...]
    | tuple[acts.UsageRow, ...]
    | reconcile.Reconciliation
)


def perform(connection: Connection, act: acts.Act, who: str, dice: Dice, now_s: int) -> str:
    """What the operator is to see once: a new key, or nothing. Raises ActRefused."""
    problem = act.problem()
    if problem is not None:
        raise ActRefused(problem)
    shown = _perform(connection, act, dice, now_s)
    audit.note(connection, who, act, now_s)
    return shown


def _perform(connection: Connection, act: acts.Act, dice: Dice, now_s: int) -> str:
    match act:
        case acts.CreateKey():
            return keys.create(connection, act, dice, now_s)
        case acts.RotateKey():
            return keys.rotate(connection, act, dice, now_s)
        case acts.RevokeKey():
            keys.revoke(connection, act, now_s)
        case acts.CreateTenant():
            tenants.create(connection, act, now_s)
        case acts.ChangeTenant():
            tenants.change(connection, act)
        case _:
            assert_never(act)
    return ""


def answer(connection: Connection, question: acts.Question) -> Answer:
    """Raises ActRefused."""
    match question:
        case acts.ListKeys():
            return keys.rows(connection)
        case acts.ListTenants():
            return tenants.rows(connection)
        case acts.ListAudit():
            return audit.rows(connection, question.most)
        case acts.SumUsage():
            return reports.usage(connection, question)
        case acts.Reconcile():
            return reconcile.reconcile(connection, question)
        case _:
            assert_never(question)
