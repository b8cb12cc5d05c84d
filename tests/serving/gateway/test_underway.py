"""A gateway that is killed with requests at replicas leaves word of them."""

import json
from pathlib import Path

from serving.snapshot import Load
from serving.spool_underway import noted
from tests.fakes import FakeReplica, dies, fake_replica, hangs
from tests.serving.gateway.rig import CHAT, HELLO, KEY_RECORD, gateway


async def test_a_request_is_noted_with_the_replica_that_has_it_until_it_has_ended(
    tmp_path: Path,
) -> None:
    one = FakeReplica(behaviour=dies)
    two = FakeReplica("tiny.1-b", behaviour=hangs, load=Load(running=5))
    path = tmp_path / "spool" / "gw.underway"
    async with fake_replica(one), fake_replica(two), gateway(tmp_path, one, two) as rig:
        client = await rig.connect()
        await client.request("POST", CHAT, HELLO)
        await two.until(lambda: two.running == 1)
        [line] = noted(path).splitlines()
        found = json.loads(line)
        assert (found["request_id"], found["key_id"]) == (two.calls[0].id, KEY_RECORD.id)
        assert (found["replica_id"], found["attempts"]) == (two.replica_id, 2)
        assert (found["outcome"], found["is_estimated"]) == ("cut", True)
        client.reset()
        await two.until(lambda: two.running == 0)
        [record] = await rig.records()
    assert record["request_id"] == found["request_id"]
    assert not path.exists()
