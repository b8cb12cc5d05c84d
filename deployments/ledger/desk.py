"""Does what an operator asks: each act in one transaction with its line in the audit."""

from typing import assert_never

from sqlalchemy import Connection

from deployments.ledger import acts, audit, keys, questions, reconcile, reports, tenants
from deployments.ledger.errors import ActRefused
from serving.keys import Dice, parse

Answer = (
    tuple[questions.KeyRow, ...]
    | tuple[questions.TenantRow, ...]
    | tuple[questions.AuditRow, ...]
    | tuple[questions.UsageRow, ...]
    | reconcile.Reconciliation
)


def perform(connection: Connection, act: acts.Act, who: str, dice: Dice, now_s: int) -> str:
    """What the operator is to see once: a new key, or nothing. Raises ActRefused."""
    problem = act.problem()
    if problem is not None:
        raise ActRefused(problem)
    shown = _perform(connection, act, dice, now_s)
    made = parse(shown)
    audit.note(connection, who, act, now_s, None if made is None else made.id)
    return shown


def _perform(connection: Connection, act: acts.Act, dice: Dice, now_s: int) -> str:
    match act:
        case acts.CreateKey():
            return keys.create(connection, act, dice, now_s)
        case acts.ChangeKey():
            keys.change(connection, act, now_s)
        case acts.RotateKey():
            return keys.rotate(connection, act, dice, now_s)
        case acts.RevokeKey():
            keys.revoke(connection, act, now_s)
        case acts.CreateTenant():
            tenants.create(connection, act, now_s)
        case acts.ChangeTenant():
            tenants.change(connection, act)
        case acts.ScaleModel() | acts.RestartReplica() | acts.DrainReplica():
            pass  # the Controller's to do
        case _:
            assert_never(act)
    return ""


def answer(connection: Connection, question: questions.Question) -> Answer:
    """Raises ActRefused."""
    match question:
        case questions.ListKeys():
            return keys.rows(connection)
        case questions.ListTenants():
            return tenants.rows(connection)
        case questions.ListAudit():
            return audit.rows(connection, question.most)
        case questions.SumUsage():
            return reports.usage(connection, question)
        case questions.Reconcile():
            return reconcile.reconcile(connection, question)
        case _:
            assert_never(question)
