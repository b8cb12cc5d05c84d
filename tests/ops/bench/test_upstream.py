import pytest

from ops.bench import wire
from ops.bench.upstream import PAUSE_PATH, BadRequest, Request, Script, parse

CHAT = "/v1/chat/completions"


def request(body: bytes = b"", target: str = CHAT) -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_a_request_is_taken_only_when_all_of_it_is_there() -> None:
    whole = request(b'{"a":1}')

    for cut in range(len(whole)):
        assert parse(whole[:cut]) is None
    assert parse(whole) == Request(CHAT, b'{"a":1}', len(whole))


def test_what_follows_a_request_is_left_in_the_buffer() -> None:
    first = request(b"{}")

    assert parse(first + request()) == Request(CHAT, b"{}", len(first))


def test_a_request_without_a_body_needs_no_length() -> None:
    assert parse(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n") == Request("/health", b"", 33)


def test_a_chunked_request_is_refused_aloud() -> None:
    with pytest.raises(BadRequest) as refusal:
        parse(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")

    assert refusal.value.args[0].startswith(b"HTTP/1.1 411 ")


@pytest.mark.parametrize("space", ["", " "])
def test_the_body_decides_between_a_whole_reply_and_a_stream(space: str) -> None:
    script = Script("tiny")
    stream = f'"stream":{space}true'
    usage = f'"include_usage":{space}true'

    plain = script.stream(Request(CHAT, f"{{{stream}}}".encode(), 0))
    with_usage = script.stream(Request(CHAT, f"{{{stream},{usage}}}".encode(), 0))

    assert script.stream(Request(CHAT, b"{}", 0)) is None
    assert plain is not None
    assert with_usage is not None
    assert len(with_usage) == len(plain) + 1


def test_every_reply_names_its_replica() -> None:
    script = Script("tiny")
    stream = script.stream(Request(CHAT, b'{"stream":true}', 0))

    assert stream is not None
    assert b"\r\nx-flotilla-replica: bench.0\r\n" in stream[0]
    for path in (CHAT, "/v1/completions", "/v1/models", "/health", "/metrics", "/nowhere"):
        assert b"\r\nx-flotilla-replica: bench.0\r\n" in script.answer(Request(path, b"", 0))


def test_the_chunks_of_a_stream_are_framed_and_ended() -> None:
    stream = Script("tiny").stream(Request(CHAT, b'{"stream":true}', 0))

    assert stream is not None
    assert len(stream) == wire.CHUNKS + 3
    assert stream[-1].endswith(b"\r\n0\r\n\r\n")


def test_the_pause_between_chunks_can_be_set_while_it_runs() -> None:
    script = Script("tiny")

    script.answer(Request(f"{PAUSE_PATH}?ms=10.0", b"", 0))

    assert script.pause_s == 0.01
