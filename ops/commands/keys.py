"""`flotilla keys`: the keys that clients send."""

from typing import TYPE_CHECKING, Any

import click

from ops.limit_options import changes, limit_options, limit_words
from ops.listing import format_options, json_option, show, tell
from ops.period import Period, moment
from serving.limits.terms import Limits

if TYPE_CHECKING:
    from deployments.ledger.questions import KeyRow

_COLUMNS = ("id", "name", "tenant", "state", "created", "expires", "models", "limits")


@click.group()
def keys() -> None:
    """Make and manage API keys."""


@keys.command()
@click.argument("name")
@click.option("--tenant", default="default", show_default=True, help="Whose key it is.")
@click.option("--expires-in", metavar="TIME", type=Period(), help="7d, 24h, 30m: refused after it.")
@click.option("--model", "models", multiple=True, help="May ask for this model only; repeat it.")
@limit_options(can_lift=False)
@click.option("--may-ignore-eos", is_flag=True, help="For benchmarks: answers of exact length.")
@json_option
def create(  # noqa: PLR0913 - what an operator says, by name
    name: str,
    tenant: str,
    expires_in: int | None,
    models: tuple[str, ...],
    may_ignore_eos: bool,
    as_json: bool,
    **limits: int | None,
) -> None:
    """Make a key called NAME and print it: it is shown this once and stored nowhere."""
    from deployments.ledger.acts import CreateKey
    from ops.ledger_client import perform

    may = Limits(**limits), may_ignore_eos
    act = CreateKey(name, tenant, expires_in, models or None, *may)
    _tell_key(perform(act), as_json=as_json)


@keys.command(name="list")
@format_options
def list_keys(as_csv: bool, as_json: bool) -> None:
    """Show all keys that ever were, without their secrets."""
    from deployments.ledger.questions import ListKeys
    from ops.ledger_client import answer

    rows = [_shown(row) for row in answer(ListKeys())]
    show(rows, _COLUMNS, as_csv=as_csv, as_json=as_json)


@keys.command()
@click.argument("key_id")
@limit_options(can_lift=True)
@json_option
def change(key_id: str, as_json: bool, **limits: int | str | None) -> None:
    """Give the key KEY_ID other limits, within seconds; `none` lifts one. What was used counts."""
    from deployments.ledger.acts import ChangeKey
    from ops.ledger_client import perform

    changed = changes(limits)
    if not changed:
        raise click.UsageError("give at least one limit")
    perform(ChangeKey(key_id, changed))
    tell({"changed": key_id}, f"changed {key_id}", as_json=as_json, to_stderr=True)


@keys.command()
@click.argument("key_id")
@json_option
def revoke(key_id: str, as_json: bool) -> None:
    """Refuse the key KEY_ID from now on, everywhere within seconds; what it runs is cut."""
    from deployments.ledger.acts import RevokeKey
    from ops.ledger_client import perform

    perform(RevokeKey(key_id))
    tell({"revoked": key_id}, f"revoked {key_id}", as_json=as_json, to_stderr=True)


@keys.command()
@click.argument("key_id")
@click.option(
    "--overlap",
    metavar="TIME",
    type=Period(),
    default="24h",
    show_default=True,
    help="How long the old secret is taken too; 0s ends it at once.",
)
@json_option
def rotate(key_id: str, overlap: int, as_json: bool) -> None:
    """Give the key KEY_ID a new secret and print the new key; limits and usage stay."""
    from deployments.ledger.acts import RotateKey
    from ops.ledger_client import perform

    _tell_key(perform(RotateKey(key_id, overlap)), as_json=as_json)


def _tell_key(key: str, *, as_json: bool) -> None:
    tell({"id": key.split("-")[1], "key": key}, key, as_json=as_json)


def _shown(row: "KeyRow") -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "tenant": row.tenant,
        "state": _state(row),
        "created": moment(row.created_s),
        "expires": moment(row.expires_s),
        "models": list(row.models or ()),
        "limits": limit_words(row.limits),
    }


def _state(row: "KeyRow") -> str:
    from time import time

    now_s = time()
    if row.revoked_s is not None:
        return "revoked"
    if row.expires_s is not None and row.expires_s <= now_s:
        return "expired"
    is_rotating = row.old_until_s is not None and row.old_until_s > now_s
    return "rotating" if is_rotating else "valid"
