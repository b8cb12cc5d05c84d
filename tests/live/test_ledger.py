"""The ledger of a real fleet agrees with real engines, also about streams that were left unread."""

import json
from typing import Any

import openai
import pytest

from tests.live.fleet_under_test import NEVER_ENDS, QUESTION, LiveFleet, wait_for

pytestmark = pytest.mark.timeout(900)


def reconciliation(fleet: LiveFleet) -> dict[str, Any]:
    """What other tests broke is in it too, so tests compare before and after."""
    printed = fleet.run("usage", "--reconcile", "--json", check=False).stdout
    found: dict[str, Any] = json.loads(printed)[0]
    return found


def test_60_what_an_engine_made_for_a_stream_that_was_left_is_in_the_ledger(
    fleet: LiveFleet,
) -> None:
    before = reconciliation(fleet)
    fleet.says("demo")
    with fleet.client() as client:
        stream = client.chat.completions.create(
            model="demo",
            messages=[{"role": "user", "content": "Hello"}],
            stream=True,
            max_tokens=4_000,
            logit_bias=NEVER_ENDS,
        )
        next(stream)
        next(stream)
        stream.close()

    def counted() -> dict[str, Any] | None:
        now = reconciliation(fleet)
        is_there = now["records"] >= before["records"] + 2
        is_told = now["agreeing"] >= before["agreeing"] + 2
        return now if is_there and is_told else None

    after = wait_for(counted, "the engine's counts of both requests")
    assert after["differing"] == []
    assert after["estimated"] == before["estimated"]


def test_58_a_revoked_key_is_refused_by_a_real_fleet(fleet: LiveFleet) -> None:
    key = fleet.run("keys", "create", "leaver").stdout.strip()
    mine, fleet.key = fleet.key, key
    try:
        wait_for(lambda: _answers(fleet) or None, "the new key to be known", 10)
        fleet.run("keys", "revoke", key.split("-")[1])
        wait_for(lambda: not _answers(fleet) or None, "the key to be refused", 5)
    finally:
        fleet.key = mine


def test_what_a_tenant_asked_is_cached_for_its_other_keys_and_for_no_other_tenant(
    fleet: LiveFleet,
) -> None:
    keys = [_key_of(fleet, tenant) for tenant in ("team", "team", "others")]
    mine = fleet.key
    try:
        for fleet.key in keys:
            wait_for(lambda: _answers(fleet, LONG) or None, "the new key to be known", 10)
    finally:
        fleet.key = mine
    first, mate, stranger = (_cached(fleet, key) for key in keys)
    assert (first, stranger) == (0, 0)
    assert mate > 200


#: Of several blocks of the cache.
LONG = "Which of these words is the longest? " + "word " * 400


def _key_of(fleet: LiveFleet, tenant: str) -> str:
    fleet.run("tenants", "create", tenant, check=False)
    return fleet.run("keys", "create", "asker", "--tenant", tenant).stdout.strip()


def _cached(fleet: LiveFleet, key: str) -> int:
    """Tokens that the engine had in its cache for the one request of that key."""

    def row() -> dict[str, int] | None:
        asked = ("--by", "key", "--key", key.split("-")[1], "--json")
        return next(iter(json.loads(fleet.run("usage", *asked).stdout)), None)

    found = wait_for(row, "the request to be in the ledger")
    assert found["requests"] == 1
    return found["cached_tokens"]


def _answers(fleet: LiveFleet, question: str = QUESTION) -> bool:
    """False where the key is refused."""
    try:
        fleet.says("demo", question)
    except openai.AuthenticationError:
        return False
    return True
