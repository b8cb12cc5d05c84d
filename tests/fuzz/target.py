"""What is fuzzed: each target takes any bytes, and raises only where a promise is broken.

Whoever feeds them (hypothesis, atheris, a saved corpus) needs to know no more than their names.
"""

import json
import re
import warnings
from collections.abc import Callable

from serving import bounds
from serving.errors import ApiError, FieldError
from serving.gateway.parser import Head, RequestParser
from serving.gateway.refusal import translate
from serving.protocol import Checked, check_chat, check_completion, field
from serving.protocol.kind import Record
from serving.protocol.pattern import Refused, check_pattern
from serving.protocol.schema import check_schema
from serving.protocol.syntax import decode

_MESSAGE_CHARS = 500


def http(data: bytes) -> None:
    """How a request is cut into reads changes nothing about what it is."""
    whole = _parse([data])
    assert _parse([data[at : at + 1] for at in range(len(data))]) == whole
    assert _parse([data[: len(data) // 2], data[len(data) // 2 :]]) == whole


Parsed = tuple[list[tuple[bytes, bytes, bytes]], str | None]


def _parse(parts: list[bytes]) -> Parsed:
    """The requests before the first fault, and the fault's words."""
    parser = RequestParser(_any_head)
    for part in parts:
        if parser.fault is None:
            parser.feed(part)
    found = [(m.head.method, m.head.target, m.body) for m in parser.messages]
    for _, target, body in found:
        assert len(target) <= bounds.URL_BYTES
        assert len(body) <= bounds.BODY_BYTES
    if parser.fault is None:
        return found, None
    _check_words(parser.fault)
    return found, parser.fault.message


def _any_head(head: Head) -> ApiError | None:
    return None


def chat(data: bytes) -> None:
    _check_body(data, check_chat, field.CHAT)


def completion(data: bytes) -> None:
    _check_body(data, check_completion, field.COMPLETION)


def _check_body(data: bytes, check: Callable[[bytes], Checked], shape: Record) -> None:
    """Refused with words, or what goes on is JSON of known fields that is taken a second time."""
    try:
        checked = check(data)
    except ApiError as error:
        _check_words(error)
        return
    checked.size()
    checked.prompt_bytes()
    sent = checked.encode("served", None)
    assert set(json.loads(sent)) <= set(shape.kept)
    check(sent)


def _check_words(error: ApiError) -> None:
    assert error.row.status < 500
    assert 0 < len(error.message) <= _MESSAGE_CHARS
    assert error.message.isprintable()


def schema(data: bytes) -> None:
    """A schema is refused with words or taken; nothing else is raised."""
    try:
        check_schema(decode(data), "schema")
    except FieldError as error:
        _check_words(error)


def pattern(data: bytes) -> None:
    """What is taken here is a regular expression for everybody else, too."""
    text = data.decode("utf-8", "replace")
    try:
        check_pattern(text)
    except Refused:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # `[[` has no meaning yet
        re.compile(text)


def refusal(data: bytes) -> None:
    """Whatever an engine says when it refuses, a client hears words of ours."""
    for status in (400, 404, 422, 500, 503):
        error = translate(status, data, "messages")
        if isinstance(error, ApiError):
            _check_words(error)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "http": http,
    "chat": chat,
    "completion": completion,
    "schema": schema,
    "pattern": pattern,
    "refusal": refusal,
}
