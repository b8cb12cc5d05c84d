"""Tenants share no part of an engine's prefix cache; keys of one tenant share all of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving.snapshot import KeyRecord
from tests.serving.gateway.rig import (
    CHAT,
    HELLO,
    KEY,
    KEY_RECORD,
    OTHER_KEY,
    OTHER_RECORD,
    TEXT,
    Rig,
    gateway,
)

PROMPT = {"model": "tiny", "prompt": "hi"}


async def sent(rig: Rig, key: str, path: str = CHAT, body: Any = HELLO) -> Any:
    """The body that the engine gets."""
    reply = await rig.ask("POST", path, body, authorization=f"Bearer {key}")
    assert reply.status == 200
    return rig.replicas[0].calls[-1].body


def holds(rig: Rig, *keys: KeyRecord) -> None:
    rig.keys = keys
    rig.publish()


@pytest.fixture
def rig(rig: Rig) -> Rig:
    """With two tenants: each of its keys is one."""
    holds(rig, KEY_RECORD, OTHER_RECORD)
    return rig


async def test_two_tenants_have_salts_of_their_own_and_all_keys_of_one_the_same(rig: Rig) -> None:
    one, other = await sent(rig, KEY), await sent(rig, OTHER_KEY)
    assert one.pop("cache_salt") != other.pop("cache_salt")
    assert one == other
    kept = {"one": replace(KEY_RECORD, tenant="one"), "two": replace(OTHER_RECORD, tenant="two")}
    third = replace(KEY_RECORD, id="key00003", tenant="two")
    holds(rig, *kept.values(), third)
    assert (await sent(rig, OTHER_KEY))["cache_salt"] != (await sent(rig, KEY))["cache_salt"]
    holds(rig, replace(KEY_RECORD, tenant="two"), kept["two"], replace(third, tenant="one"))
    assert (await sent(rig, OTHER_KEY))["cache_salt"] == (await sent(rig, KEY))["cache_salt"]


async def test_completions_and_streams_are_salted_too(rig: Rig) -> None:
    chat = (await sent(rig, KEY))["cache_salt"]
    assert (await sent(rig, KEY, TEXT, PROMPT))["cache_salt"] == chat
    assert (await sent(rig, KEY, body={**HELLO, "stream": True}))["cache_salt"] == chat


async def test_a_body_with_fields_that_are_read_slowly_is_salted_once(rig: Rig) -> None:
    body = {**HELLO, "stop": ["a"], "logit_bias": {"1": 1}}
    await sent(rig, KEY, body=body)
    raw = rig.replicas[0].calls[-1].body
    assert raw["logit_bias"] == {"1": 1}
    assert len(raw["cache_salt"]) == 32


async def test_another_gateway_has_the_same_salts(rig: Rig, tmp_path: Path) -> None:
    here = (await sent(rig, KEY))["cache_salt"]
    folder = tmp_path / "other"
    folder.mkdir()
    async with gateway(folder, rig.replicas[0]) as other:
        holds(other, *rig.keys)
        assert (await sent(other, KEY))["cache_salt"] == here


async def test_where_there_is_one_tenant_all_share_the_cache(rig: Rig) -> None:
    holds(rig, replace(KEY_RECORD, tenant="one"), replace(OTHER_RECORD, tenant="one"))
    assert "cache_salt" not in await sent(rig, KEY)
    assert "cache_salt" not in await sent(rig, OTHER_KEY)


async def test_a_callers_own_salt_is_refused(rig: Rig) -> None:
    reply = await rig.ask("POST", CHAT, {**HELLO, "cache_salt": "mine"})
    assert (reply.status, reply.error["param"]) == (400, "cache_salt")
    assert rig.replicas[0].calls == []
