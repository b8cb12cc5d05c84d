"""A request that killed two replicas is known to all, whoever saw which death."""

import random

from hypothesis import given
from hypothesis import strategies as st

from serving.protocol import check_chat, check_completion
from serving.protocol.fingerprint import SIZE_BYTES, fingerprint
from serving.quarantine import FORGET_S, MOST, Death, Quarantine

A, B = b"a" * SIZE_BYTES, b"b" * SIZE_BYTES


def test_two_replicas_quarantine_a_request_and_one_dying_twice_does_not() -> None:
    known = Quarantine()
    assert known.add([Death(A, ("m.0",))], 0.0)
    assert not known.add([Death(A, ("m.0",))], 1.0)
    assert known.quarantined == frozenset()
    assert known.add([Death(A, ("m.1",)), Death(B, ("m.1",))], 2.0)
    assert known.quarantined == {A}


def test_it_is_forgotten_after_a_while_and_what_is_told_late_is_as_old_as_it_is() -> None:
    known = Quarantine()
    known.add([Death(A, ("m.0", "m.1"), ago_s=FORGET_S - 10.0)], 0.0)
    assert not known.forget(9.0)
    assert known.deaths(9.0)[0].ago_s == FORGET_S - 1.0
    assert known.forget(10.0)
    assert (known.quarantined, known.deaths(10.0)) == (frozenset(), ())
    assert not known.add([Death(A, ("m.0", "m.1"), ago_s=FORGET_S)], 0.0)


def test_memory_is_bounded_and_the_latest_stay() -> None:
    known = Quarantine()
    for number in range(MOST + 10):
        known.add([Death(number.to_bytes(SIZE_BYTES, "big"), ("m.0",))], float(number))
    told = known.deaths(0.0)
    assert len(told) == MOST
    assert int.from_bytes(told[-1].fingerprint, "big") == MOST + 9


FACTS = st.lists(
    st.builds(
        Death,
        st.sampled_from([A, B]),
        st.lists(st.sampled_from(["m.0", "m.1", "m.2"]), min_size=1, max_size=2).map(tuple),
    )
)


@given(FACTS, st.randoms(use_true_random=False))
def test_whoever_hears_the_same_deaths_in_any_order_knows_the_same(
    facts: list[Death], dice: random.Random
) -> None:
    one, two, mixed = Quarantine(), Quarantine(), list(facts)
    dice.shuffle(mixed)
    one.add(facts, 0.0)
    for fact in mixed:
        two.add([fact], 0.0)
    one.add(two.deaths(0.0), 0.0)
    assert sorted(one.deaths(0.0), key=lambda d: d.fingerprint) == sorted(
        two.deaths(0.0), key=lambda d: d.fingerprint
    )
    assert one.quarantined == two.quarantined


CHAT = b'{"model":"m","messages":[{"role":"user","content":"%b"}]%b}'


def test_the_same_request_is_the_same_streamed_or_not_and_before_and_after_it_was_sent() -> None:
    whole = check_chat(CHAT % (b"boom", b""))
    before = fingerprint(whole, "m")
    whole.encode("served", 512)
    streamed = check_chat(CHAT % (b"boom", b',"stream":true,"user":"u"'))
    slow = check_chat(CHAT % (b"boom", b',"logit_bias":{}'))
    assert len(before) == SIZE_BYTES
    assert fingerprint(whole, "m") == before == fingerprint(streamed, "m")
    assert fingerprint(slow, "m") != before


def test_another_text_limit_or_model_is_another_request() -> None:
    marks = {
        fingerprint(check_chat(CHAT % (b"boom", b"")), "m"),
        fingerprint(check_chat(CHAT % (b"boo", b"")), "m"),
        fingerprint(check_chat(CHAT % (b"boom", b',"max_tokens":5')), "m"),
        fingerprint(check_chat(CHAT % (b"boom", b"")), "n"),
        fingerprint(check_completion(b'{"model":"m","prompt":"boom"}'), "m"),
    }
    assert len(marks) == 5
