"""What a key may do at a gateway: for how long, which models, and what it is told of its usage."""

from dataclasses import replace
from pathlib import Path

from serving.keys import new_secret
from serving.limits.terms import Limits
from serving.snapshot import KeyNews, KeyUsage, Snapshot, UsageReport
from tests.fakes import TOKEN, FakeReplica, dies_after
from tests.serving.gateway.rig import (
    CHAT,
    HELLO,
    KEY,
    KEY_RECORD,
    OTHER_KEY,
    OTHER_RECORD,
    Rig,
    gateway,
    model,
)


def publish(rig: Rig, version: int, **changes: object) -> None:
    replicas = tuple(each.report() for each in rig.replicas)
    known = Snapshot(version, rig.keys, replicas, TOKEN)
    rig.core.apply_snapshot(replace(known, **changes))  # type: ignore[arg-type]


async def test_an_expired_key_is_refused_although_it_was_taken_before(
    tmp_path: Path, replica: FakeReplica
) -> None:
    async with gateway(tmp_path, replica) as rig:
        now_s = 50.0
        rig.core.auth._wall_clock = lambda: now_s
        rig.keys = (replace(KEY_RECORD, expires_s=100),)
        rig.publish()
        assert (await rig.chat()).status == 200
        assert (await rig.chat()).status == 200
        now_s = 100.0
        reply = await rig.chat()
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")


async def test_an_old_secret_is_refused_when_its_time_is_over(
    tmp_path: Path, replica: FakeReplica
) -> None:
    new_key, digest = new_secret(KEY_RECORD.id, lambda count: b"\x07" * count)
    async with gateway(tmp_path, replica) as rig:
        now_s = 50.0
        rig.core.auth._wall_clock = lambda: now_s
        rotated = replace(KEY_RECORD, digest=digest, old_digest=KEY_RECORD.digest, old_until_s=100)
        rig.keys = (rotated,)
        rig.publish()
        assert (await rig.chat()).status == 200
        now_s = 100.0
        assert (await rig.chat()).status == 401
        body = {**HELLO}
        new = f"Bearer {new_key}"
        reply = await rig.ask("POST", "/v1/chat/completions", body, authorization=new)
        assert reply.status == 200


async def test_a_model_out_of_scope_does_not_exist_for_a_key(
    tmp_path: Path, replica: FakeReplica
) -> None:
    models = [model(), model("big", replica_set="tiny", aliases=["large"])]
    async with gateway(tmp_path, replica, models=models) as rig:
        rig.keys = (replace(KEY_RECORD, models=frozenset({"big"})), OTHER_RECORD)
        rig.publish()
        refused, unknown = await rig.chat(model="tiny"), await rig.chat(model="none")
        assert (refused.status, refused.error["code"]) == (404, "model_not_found")
        assert refused.error["message"] == unknown.error["message"].replace("none", "tiny")
        assert [(await rig.chat(model=name)).status for name in ("big", "large")] == [200, 200]
        listed = (await rig.ask("GET", "/v1/models")).json["data"]
        assert [card["id"] for card in listed] == ["big"]
        assert (await rig.ask("GET", "/v1/models/tiny")).status == 404
        assert (await rig.ask("GET", "/v1/models/large")).json["id"] == "big"
        everything = await rig.ask("GET", "/v1/models", authorization=f"Bearer {OTHER_KEY}")
        assert [card["id"] for card in everything.json["data"]] == ["tiny", "big"]


async def test_a_caller_is_told_the_own_usage_and_nobody_elses(rig: Rig) -> None:
    keys = (
        KeyUsage(KEY_RECORD.id, "big", 2, 20, 5, 10),
        KeyUsage(KEY_RECORD.id, "tiny", 1, 7, 0, 3),
        KeyUsage(OTHER_RECORD.id, "tiny", 9, 9, 9, 9),
    )
    publish(rig, 50, usage=UsageReport("2026-11", 1_795_780_800, keys))
    reply = await rig.ask("GET", "/v1/usage")
    assert reply.status == 200
    assert (reply.json["month"], reply.json["as_of"]) == ("2026-11", "2026-11-27T12:00:00Z")
    assert (reply.json["requests"], reply.json["total_tokens"]) == (3, 40)
    assert [(each["model"], each["total_tokens"]) for each in reply.json["models"]] == [
        ("big", 30),
        ("tiny", 10),
    ]


async def test_a_caller_is_told_the_cost_where_a_model_has_a_price(rig: Rig) -> None:
    dear = KeyUsage(KEY_RECORD.id, "big", 1, 20, 5, 10, nanos=12_500_000_000)
    keys = (dear, KeyUsage(KEY_RECORD.id, "tiny", 1, 7, 0, 3))
    publish(rig, 50, usage=UsageReport("2026-11", 1_795_780_800, keys))
    told = (await rig.ask("GET", "/v1/usage")).json
    assert told["cost"] == told["models"][0]["cost"] == "12.5"
    assert "cost" not in told["models"][1]
    publish(rig, 51, usage=UsageReport("2026-11", 1_795_780_800, keys[1:]))
    assert "cost" not in (await rig.ask("GET", "/v1/usage")).json


async def test_usage_is_asked_with_get_and_with_a_key(rig: Rig) -> None:
    reply = await rig.ask("POST", "/v1/usage", {})
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert (await rig.ask("GET", "/v1/usage", authorization="-")).status == 401


async def test_a_controller_that_has_read_no_keys_takes_none_away(rig: Rig) -> None:
    publish(rig, 50, keys=(), key_news=KeyNews.UNREAD)
    assert (await rig.chat()).status == 200
    heard_s = rig.core._heard_s
    rig.core.heard()
    assert rig.core._heard_s == heard_s
    publish(rig, 51, key_news=KeyNews.CURRENT)
    rig.core.heard()
    assert rig.core._heard_s > heard_s


async def test_before_any_key_was_read_none_is_called_wrong(
    tmp_path: Path, replica: FakeReplica
) -> None:
    async with gateway(tmp_path, replica) as rig:
        rig.core.has_keys = False
        rig.core.auth.apply(())
        for news in (KeyNews.UNREAD, KeyNews.LOST):
            publish(rig, 50, keys=(), key_news=news)
            reply = await rig.chat()
            assert (reply.status, reply.error["code"]) == (503, "server_is_overloaded")
            assert (await rig.ask("GET", "/v1/models", authorization="-")).status == 401
        publish(rig, 51)
        assert (await rig.chat()).status == 200


async def test_what_was_used_of_a_limit_stays_used_when_a_controller_has_read_no_keys(
    tmp_path: Path, replica: FakeReplica
) -> None:
    async with gateway(tmp_path, replica) as rig:
        rig.keys = (replace(KEY_RECORD, limits=Limits(requests_per_minute=1)),)
        rig.publish()
        before = rig.core.gate.accounts(KEY_RECORD.id)
        assert before
        publish(rig, 50, keys=(), key_news=KeyNews.UNREAD)
        assert rig.core.gate.accounts(KEY_RECORD.id) == before


async def test_keys_that_nobody_knows_any_more_are_refused_and_not_called_wrong(rig: Rig) -> None:
    publish(rig, 50, key_news=KeyNews.LOST)
    assert (await rig.chat()).status == 503
    assert (await rig.ask("GET", "/readyz")).status == 503
    publish(rig, 51, key_news=KeyNews.CURRENT)
    assert (await rig.chat()).status == 200


async def test_a_record_says_whose_it_is_and_what_is_estimated(
    tmp_path: Path, replica: FakeReplica
) -> None:
    async with gateway(tmp_path, replica) as rig:
        rig.keys = (replace(KEY_RECORD, tenant="lab"),)
        rig.publish()
        await rig.chat()
        replica.script = [dies_after("a", "b")]
        await rig.chat(stream=True)
        await rig.chat(stream=True)
        records = await rig.records()
    assert [(r["tenant"], r["outcome"], r["is_estimated"]) for r in records] == [
        ("lab", "complete", False),
        ("lab", "cut", True),
        ("lab", "complete", False),
    ]
    assert KEY not in str(records)


async def test_answers_of_an_exact_length_are_for_keys_that_may_ask_for_them(rig: Rig) -> None:
    plain = await rig.chat(ignore_eos=True)
    assert (plain.status, plain.error["code"]) == (400, "unknown_parameter")
    publish(rig, 50, keys=(replace(KEY_RECORD, may_ignore_eos=True), OTHER_RECORD))
    replica = rig.replicas[0]
    assert (await rig.chat(ignore_eos=True, max_tokens=9)).status == 200
    assert replica.calls[-1].body["ignore_eos"] is True
    text = {"model": "tiny", "prompt": "a", "ignore_eos": True}
    assert (await rig.ask("POST", "/v1/completions", text)).status == 200
    assert replica.calls[-1].body["ignore_eos"] is True
    assert (await rig.chat(ignore_eos=1)).error["code"] == "invalid_type"
    body, bearer = {**HELLO, "ignore_eos": 1}, f"Bearer {OTHER_KEY}"
    other = await rig.ask("POST", CHAT, body, authorization=bearer)
    assert (other.error["code"], other.error["param"]) == ("unknown_parameter", "ignore_eos")
