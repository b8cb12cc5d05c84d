"""`flotilla tenants`: who keys belong to, and how they stand against each other."""

from typing import TYPE_CHECKING

import click

from ops.limit_options import changes, limit_options, limit_words
from ops.listing import format_options, json_option, show, tell
from ops.period import moment
from serving.limits.terms import Limits

if TYPE_CHECKING:
    from serving.limits.terms import Priority

_COLUMNS = ("name", "weight", "priority", "keys", "created", "limits")
_PRIORITIES = click.Choice(["batch", "standard", "interactive"])
_WEIGHT = click.IntRange(1, 1_000)


@click.group()
def tenants() -> None:
    """Make and manage tenants, which keys belong to."""


@tenants.command()
@click.argument("name")
@click.option("--weight", type=_WEIGHT, default=1, show_default=True, help="Share of a busy model.")
@click.option("--priority", type=_PRIORITIES, default="standard", show_default=True)
@limit_options(can_lift=False)
@json_option
def create(name: str, weight: int, priority: str, as_json: bool, **limits: int | None) -> None:
    """Make a tenant called NAME; its limits are of all its keys together."""
    from deployments.ledger.acts import CreateTenant
    from ops.ledger_client import perform

    perform(CreateTenant(name, weight, _priority(priority), Limits(**limits)))
    tell({"made": name}, f"made {name}", as_json=as_json, to_stderr=True)


@tenants.command()
@click.argument("name")
@click.option("--weight", type=_WEIGHT, help="Share of a busy model.")
@click.option("--priority", type=_PRIORITIES)
@limit_options(can_lift=True)
@json_option
def change(
    name: str, weight: int | None, priority: str | None, as_json: bool, **limits: int | str | None
) -> None:
    """Change what is given of the tenant NAME, within seconds; `none` lifts a limit."""
    from deployments.ledger.acts import ChangeTenant
    from ops.ledger_client import perform

    claimed = None if priority is None else _priority(priority)
    act = ChangeTenant(name, weight, claimed, changes(limits))
    if act == ChangeTenant(name):
        raise click.UsageError("give --weight, --priority or a limit")
    perform(act)
    tell({"changed": name}, f"changed {name}", as_json=as_json, to_stderr=True)


@tenants.command(name="list")
@format_options
def list_tenants(as_csv: bool, as_json: bool) -> None:
    """Show all tenants."""
    from deployments.ledger.questions import ListTenants
    from ops.ledger_client import answer

    rows = [
        {
            "name": row.name,
            "weight": row.weight,
            "priority": row.priority.name.lower(),
            "keys": row.keys,
            "created": moment(row.created_s),
            "limits": limit_words(row.limits),
        }
        for row in answer(ListTenants())
    ]
    show(rows, _COLUMNS, as_csv=as_csv, as_json=as_json)


def _priority(name: str) -> "Priority":
    from serving.limits.terms import Priority

    return Priority[name.upper()]
