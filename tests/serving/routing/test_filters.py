"""When a replica is the only one of which an answer can be expected."""

from serving.routing.breaker import Symptom
from serving.routing.filters import is_alone
from serving.routing.table import Slot
from serving.snapshot import Phase
from tests.serving.reports import replica


def test_it_is_alone_where_the_others_were_tried_left_out_or_are_not_ready() -> None:
    one, two = Slot(replica("m.0")), Slot(replica("m.1"))
    assert not is_alone(one, [one, two])
    assert is_alone(one, [one])
    assert is_alone(one, [one, two], (two.replica_id,))
    assert is_alone(one, [one, Slot(replica("m.1", phase=Phase.STARTING))])
    assert is_alone(one, [one, Slot(replica("m.1"), unlisted_s=1.0)])
    two.breaker.trip(0.0, Symptom.HUNG)
    assert is_alone(one, [one, two])
    assert not is_alone(two, [one, two])
