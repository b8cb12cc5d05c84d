"""`flotilla keys`, `tenants`, `usage` and `audit` as an operator sees them, on a real ledger."""

import asyncio
import csv
import io
import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deployments.ledger.errors import LedgerError
from deployments.ledger.ledger import Ledger
from deployments.ledger.notes import ended, kept
from deployments.ledger.questions import Reply
from ops import ledger_client
from ops.cli import main
from ops.period import moment
from serving.keys import parse
from serving.money import Price
from tests.deployments.ledger.records import NOON_S, count, lines, usage

Tell = Callable[[bytes, bytes], None]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a ledger behind a Controller that is only its two methods."""

    async def reply(method: str, args: tuple[Any, ...]) -> Reply:
        ledger = Ledger(tmp_path, lambda: NOON_S)
        try:
            return Reply(await getattr(ledger, method)(*args))
        except LedgerError as error:
            return Reply(refusal=str(error))
        finally:
            await ledger.close()

    def call_controller(method: str, *args: Any) -> Reply:
        return asyncio.run(reply(method, args))

    monkeypatch.setattr(ledger_client, "call_controller", call_controller)
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path / "unused"))
    return tmp_path


@pytest.fixture
def tell(home: Path) -> Tell:
    async def told(usage_lines: bytes, count_lines: bytes) -> None:
        ledger = Ledger(home, lambda: NOON_S)
        await ledger.record_usage(usage_lines)
        await ledger.record_counts(count_lines)
        await ledger.close()

    return lambda usage_lines, count_lines: asyncio.run(told(usage_lines, count_lines))


def flotilla(*args: str, columns: int = 300) -> Result:
    return CliRunner().invoke(main, args, catch_exceptions=False, env={"COLUMNS": str(columns)})


def table(*args: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(flotilla(*args, "--json").stdout)
    return rows


@pytest.mark.usefixtures("home")
def test_a_key_from_its_making_to_its_end() -> None:
    made = flotilla(
        *("keys", "create", "bob", "--expires-in", "7d", "--model", "small"),
        *("--requests-per-minute", "60", "--tokens-per-month", "1000"),
    )
    assert made.stderr == ""
    printed = parse(made.stdout.strip())
    assert printed is not None
    (row,) = table("keys", "list")
    assert (row["id"], row["name"], row["tenant"]) == (printed.id, "bob", "default")
    assert row["limits"] == ["requests_per_minute=60", "tokens_per_month=1000"]
    assert row["models"] == ["small"]
    assert printed.secret not in flotilla("keys", "list").stdout
    rotated = flotilla("keys", "rotate", printed.id, "--overlap", "1h").stdout.strip()
    assert rotated.startswith(f"sk-{printed.id}-")
    assert rotated != str(printed)
    revoked = flotilla("keys", "revoke", printed.id)
    assert (revoked.exit_code, revoked.stdout) == (0, "")
    assert table("keys", "list")[0]["state"] == "revoked"
    assert (
        "name=bob tenant=default lifetime_s=604800 models=small requests"
        in flotilla("audit").stdout
    )
    assert "null" not in flotilla("audit").stdout
    assert f"{table('audit')[0]['at']}  " in flotilla("audit", columns=80).stdout
    acts = [(row["act"], row["who"]) for row in table("audit")]
    me = pwd.getpwuid(os.getuid()).pw_name
    assert acts == [("RevokeKey", me), ("RotateKey", me), ("CreateKey", me)]


@pytest.mark.usefixtures("home")
def test_a_refusal_is_one_line_that_names_the_way_out() -> None:
    for args, said in (
        (("keys", "create", "bob", "--tenant", "lab"), "`flotilla tenants create lab`"),
        (("keys", "revoke", "nobody"), "`flotilla keys list`"),
        (("tenants", "change", "lab", "--weight", "2"), "there is no tenant lab"),
    ):
        result = flotilla(*args)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("flotilla: ")
        assert said in result.stderr
        assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "args",
    [
        ("keys", "create", "bob", "--expires-in", "soon"),
        ("keys", "create", "bob", "--expires-in", "-1d"),
        ("keys", "create", "bob", "--expires-in", "99999d"),
        ("keys", "create", "bob", "--concurrent", "0"),
        ("tenants", "create", "lab", "--weight", "0"),
        ("tenants", "change", "lab"),
        ("tenants", "create", "lab", "--budget-per-month", "0"),
        ("tenants", "create", "lab", "--budget-per-month", "12,50"),
        ("tenants", "create", "lab", "--concurrent", "none"),
        ("keys", "change", "k"),
        ("keys", "change", "k", "--concurrent", "nought"),
        ("keys", "change", "k", "--tokens-per-minute", "²"),
        ("usage", "--since", "yesterday"),
        ("usage", "--since", "2026-11-28", "--until", "2026-11-27"),
        ("usage", "--csv", "--json"),
        ("audit", "--last", "0"),
    ],
)
def test_what_makes_no_sense_ends_with_2(args: tuple[str, ...]) -> None:
    assert flotilla(*args).exit_code == 2


@pytest.mark.usefixtures("home")
def test_tenants_are_made_changed_and_listed() -> None:
    flotilla("tenants", "create", "lab", "--weight", "3")
    flotilla("tenants", "change", "lab", "--priority", "batch")
    flotilla("keys", "create", "bob", "--tenant", "lab")
    rows = table("tenants", "list")
    assert [(row["name"], row["weight"], row["priority"], row["keys"]) for row in rows] == [
        ("default", 1, "standard", 0),
        ("lab", 3, "batch", 1),
    ]


def test_a_deploy_is_in_the_audit_at_the_time_it_began(home: Path) -> None:
    with kept(home, "alice", "deploy", None) as note:
        note.steps.append("add flotilla")
    [noted] = ended(home)
    ledger = Ledger(home)
    assert asyncio.run(_take_notes(ledger)) == (1, 0)
    (row,) = table("audit")
    assert (row["who"], row["act"], row["subject"]) == ("alice", "ChangeFleet", "this machine")
    assert row["at"] == moment(noted.noted.act.began_s)
    detail = json.loads(row["detail"])
    assert (detail["steps"], detail["outcome"]) == (["add flotilla"], "done")


async def _take_notes(ledger: Ledger) -> tuple[int, int]:
    first, second = await ledger.take_notes(), await ledger.take_notes()
    await ledger.close()
    return first, second


def test_a_key_for_benchmarks_may_ask_for_an_exact_length(home: Path) -> None:
    flotilla("keys", "create", "plain")
    flotilla("keys", "create", "bench", "--may-ignore-eos")
    records = asyncio.run(Ledger(home, lambda: NOON_S).keys())
    assert {record.name: record.may_ignore_eos for record in records} == {
        "plain": False,
        "bench": True,
    }


@pytest.mark.usefixtures("home")
def test_limits_of_tenants_and_keys_are_set_changed_lifted_and_shown() -> None:
    flotilla(*("tenants", "create", "lab", "--requests-per-minute", "600"), "--concurrent", "9")
    flotilla("tenants", "change", "lab", "--budget-per-month", "12.50", "--concurrent", "none")
    assert table("tenants", "list")[1]["limits"] == [
        "requests_per_minute=600",
        "budget_per_month=12.5",
    ]
    key = flotilla("keys", "create", "bob", "--tenant", "lab", "--budget-per-month", "0.01").stdout
    key_id = key.split("-")[1]
    assert table("keys", "list")[0]["limits"] == ["budget_per_month=0.01"]
    changed = flotilla("keys", "change", key_id, "--budget-per-month", "5", "--concurrent", "2")
    assert (changed.exit_code, changed.stderr) == (0, f"changed {key_id}\n")
    assert table("keys", "list")[0]["limits"] == ["concurrent=2", "budget_per_month=5"]
    assert [row["act"] for row in table("audit", "--last", "2")] == ["ChangeKey", "CreateKey"]


def test_usage_has_a_cost_where_a_model_has_a_price(tell: Tell) -> None:
    asked = ("usage", "--since", "2026-11-27", "--until", "2026-11-27", "--by", "model")
    tell(lines(usage("a")), b"")
    assert "cost" not in flotilla(*asked).stdout
    assert table(*asked)[0]["cost"] == "0"
    tell(lines(usage("b", model_answered="dear", price=Price(250, 250, 1_000))), b"")
    assert [row["cost"] for row in table(*asked)] == ["0.0000075", "0"]
    assert "0.0000075" in flotilla(*asked).stdout


def test_usage_as_table_csv_and_json(tell: Tell) -> None:
    tell(lines(usage("a"), usage("b", key_id="=key2")), lines(count("a", completion_tokens=5)))
    asked = ("usage", "--since", "2026-11-27", "--until", "2026-11-27", "--by", "key")
    rows = table(*asked)
    assert [(row["key"], row["requests"], row["completion_tokens"]) for row in rows] == [
        ("=key2", 1, 5),
        ("key1", 1, 5),
    ]
    assert rows[1]["accelerator_s"] == 0.25
    found = list(csv.reader(io.StringIO(flotilla(*asked, "--csv").stdout)))
    assert found[0][:2] == ["key", "requests"]
    assert found[1][0] == "'=key2"
    assert "key1" in flotilla(*asked).stdout


def test_a_table_on_a_terminal_of_80_columns_breaks_no_name(tell: Tell) -> None:
    name = "deepseek-llama3.3-70b-instruct"
    tell(lines(usage("a", model_answered=name)), b"")
    asked = ("usage", "--since", "2026-11-27", "--until", "2026-11-27")
    shown = flotilla(*asked, columns=80).stdout
    assert name in shown
    assert {"tokens", "completion", "accelerator"} <= set(shown.split())


def test_a_reconciliation_that_fails_ends_with_1(tell: Tell) -> None:
    days = ("--since", "2026-11-27", "--until", "2026-11-27")
    tell(lines(usage("a")), lines(count("a", completion_tokens=5)))
    assert flotilla("usage", *days, "--reconcile").exit_code == 0
    tell(b"", lines(count("lost", 1)))
    result = flotilla("usage", *days, "--reconcile", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)[0]["unrecorded"] == ["lost"]
