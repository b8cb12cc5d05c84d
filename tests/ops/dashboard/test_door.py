"""Who may look and who may act."""

import itertools

import pytest

from ops.dashboard.door import MOST_SESSIONS, SESSION_S, Door, is_token


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def door(host: str = "127.0.0.1", clock: Clock | None = None) -> Door:
    secrets = (f"s{number}" for number in itertools.count())
    return Door("the-key", host, clock or Clock(), lambda: next(secrets))


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("127.0.0.1:8001", True),
        ("[::1]:8001", True),
        ("localhost:8001", True),
        ("10.0.0.7", True),
        ("ops.example", True),
        ("OPS.example:8001", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_a_host_that_is_a_name_of_others_is_not_answered(host: str, is_known: bool) -> None:
    assert door("ops.example").is_known_host(host) is is_known


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({"host": "127.0.0.1:8001"}, True),
        ({"host": "h:1", "origin": "http://h:1", "sec-fetch-site": "same-origin"}, True),
        ({"host": "h:1", "origin": "http://evil.example"}, False),
        ({"host": "h:1", "origin": "null"}, False),
        ({"host": "h:1", "origin": "http://h:2"}, False),
        ({"host": "h:1", "sec-fetch-site": "cross-site"}, False),
        ({"host": "h:1", "sec-fetch-site": "same-site"}, False),
    ],
)
def test_a_post_comes_from_our_own_page(headers: dict[str, str], is_own: bool) -> None:
    assert door().is_own_page(headers) is is_own


@pytest.mark.parametrize(
    ("host", "is_open"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("10.0.0.1", False), ("h", False)],
)
def test_beyond_loopback_nobody_looks_without_a_key(host: str, is_open: bool) -> None:
    assert door(host).is_open is is_open


@pytest.mark.parametrize(
    ("name", "key"),
    [("ada", "no"), ("ada", ""), ("", "the-key"), ("a" * 33, "the-key"), ("a\x00", "the-key")],
)
def test_a_wrong_key_or_no_name_opens_nothing(name: str, key: str) -> None:
    assert door().sign_in(name, key) is None


def test_who_signed_in_is_known_until_the_session_ends() -> None:
    clock = Clock()
    made = door(clock=clock)
    session = made.sign_in(" ada ", "the-key\n")
    assert session is not None
    visitor = made.visitor(session)
    assert visitor is not None
    assert visitor.name == "ada"
    assert is_token(visitor, visitor.csrf_token)
    assert not is_token(visitor, session)
    assert not is_token(None, "")
    clock.now_s = SESSION_S
    assert made.visitor(session) is None


def test_who_signed_out_is_a_stranger() -> None:
    made = door()
    session = made.sign_in("ada", "the-key") or ""
    made.sign_out(session)
    assert made.visitor(session) is None


def test_there_are_only_so_many_sessions_and_the_oldest_makes_room() -> None:
    clock = Clock()
    made = door(clock=clock)
    sessions = []
    for _ in range(MOST_SESSIONS + 1):
        clock.now_s += 1
        sessions.append(made.sign_in("ada", "the-key") or "")
    assert made.visitor(sessions[0]) is None
    assert all(made.visitor(session) for session in sessions[1:])
