"""How long a caller waits, as its headers say it. Pure.

`X-Flotilla-Timeout: 20` is the caller's word about the whole request, in seconds, streams to their
last byte: past it the answer is 504, or an error event. It can shorten the gateway's own deadline,
never lengthen it.

OpenAI's clients say how long they wait in headers of their own: Python its read timeout, Node its
timeout, both until the first byte. Then nobody listens any more. They hang up by themselves, but a
proxy between may hide that: so these end a request that has not begun to answer, and what they say
is believed where it is a number and passed over where it is none.
"""

import re
from collections.abc import Mapping
from math import inf

import msgspec

from serving.errors import ApiError, Refusal

_OURS = b"x-flotilla-timeout"
_CLIENTS_OWN = (b"x-stainless-read-timeout", b"x-stainless-timeout")
WAIT_HEADERS = (_OURS, *_CLIENTS_OWN)
_SECONDS = re.compile(rb"[0-9]{1,6}(\.[0-9]{1,6})?")


class Patience(msgspec.Struct, frozen=True):
    """Seconds from when the request has come."""

    whole_s: float = inf
    first_byte_s: float = inf


ENDLESS = Patience()


def patience_of(headers: Mapping[bytes, bytes]) -> Patience:
    """Raises ApiError."""
    if headers.keys().isdisjoint(WAIT_HEADERS):
        return ENDLESS
    said, own = headers.get(_OURS), [headers[name] for name in _CLIENTS_OWN if name in headers]
    whole_s = inf if said is None else _seconds(said)
    if whole_s is None:
        message = "Send 'X-Flotilla-Timeout' as seconds, such as 20 or 0.5, or not at all."
        raise ApiError(Refusal.INVALID_REQUEST, message)
    return Patience(whole_s, min((_seconds(each) or inf for each in own), default=inf))


def _seconds(text: bytes) -> float | None:
    """None for what is no time: 0 and below, and everything that is no number."""
    return (float(text) or None) if _SECONDS.fullmatch(text) else None
