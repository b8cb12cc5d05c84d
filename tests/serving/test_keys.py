"""Keys are shown once, stored as digests, compared in constant time."""

import random
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.keys import Proof, digest, new_key, new_secret, parse, parse_header, verify

DICE = random.Random(1)  # noqa: S311


def test_a_new_key_proves_its_record_and_no_other() -> None:
    text, record = new_key("a", DICE.randbytes, 5)
    other, other_record = new_key("b", DICE.randbytes, 5)
    records = {record.id: record, other_record.id: other_record}
    assert verify(parse(text), records, 6) == Proof(record, inf)
    assert verify(parse(other), records, 6) == Proof(other_record, inf)
    assert verify(parse(text[:12] + other[12:]), records, 6) is None
    assert verify(parse(text), {}, 6) is None
    assert verify(None, records, 6) is None


def test_a_proof_ends_with_the_key_or_with_the_old_secret() -> None:
    old, record = new_key("a", DICE.randbytes, 5)
    new, fresh = new_secret(record.id, DICE.randbytes)
    rotated = replace(record, digest=fresh, old_digest=record.digest, old_until_s=20, expires_s=30)
    records = {record.id: rotated}
    assert verify(parse(old), records, 19.9) == Proof(rotated, 20)
    assert verify(parse(old), records, 20) is None
    assert verify(parse(new), records, 20) == Proof(rotated, 30)
    assert verify(parse(new), records, 30) is None


def test_the_record_does_not_hold_the_secret() -> None:
    text, record = new_key("a", DICE.randbytes, 5)
    assert text[12:] not in repr(record)
    assert record.digest == digest(text[12:])
    assert text[12:] not in repr(parse(text))


@given(st.integers(0, 2**32))
def test_every_key_can_be_read_again(seed: int) -> None:
    text, record = new_key("k", random.Random(seed).randbytes, 0)  # noqa: S311
    assert len(text) == 55
    assert parse_header(f"Bearer {text}".encode()) == parse(text)
    assert record.id.isalnum()


@given(st.binary(max_size=600))
def test_any_header_is_a_key_or_none(value: bytes) -> None:
    parse_header(value)
    assert parse_header(b"Bearer " + value) is None or len(value.strip()) == 55


@pytest.mark.parametrize("text", ["", "sk-x", "known", "unknown", "wrong secret"])
def test_every_key_good_or_bad_costs_the_same_comparisons_in_constant_time(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    printed, record = new_key("k", random.Random(1).randbytes, 0)  # noqa: S311
    other, _ = new_key("o", random.Random(2).randbytes, 0)  # noqa: S311
    shown = {"known": printed, "unknown": other, "wrong secret": printed[:12] + other[12:]}
    compared = []

    def compare(one: bytes, two: bytes) -> bool:
        compared.append((len(one), len(two)))
        return one == two

    monkeypatch.setattr("serving.keys.hmac.compare_digest", compare)
    proof = verify(parse(shown.get(text, text)), {record.id: record}, now_s=0)
    assert (proof is not None) == (text == "known")
    assert compared == [(32, 32), (32, 32)]
