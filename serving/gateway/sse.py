"""What happens to the bytes of a stream on their way through: whole reads, no objects per token.

Why bytes are enough: vLLM writes compact JSON with `id` first in every event, and inside a JSON
string every quote is escaped and every newline is `\\n`. So `data: {"id":"chatcmpl-`,
`"choices":[]` and a blank line can only be what they look like, never a model's own words. Only the
event that carries `usage` is read; of the others it is made sure that they are JSON.

Rules: an error event ends the stream and is not passed on, nor is anything behind it. `[DONE]` is
taken out and `is_done` set: the caller sends it when the request is settled. The usage event
reaches only who asked for it. What is no event with a JSON object in UTF-8 is never passed on.
"""

import msgspec

from serving import bounds

DONE = b"data: [DONE]\n\n"
_DATA = b"data: "
_ERROR = b'data: {"error"'
_NO_CHOICES = b'"choices":[]'
_END = b"\n\n"
_CHAT_ID = b'data: {"id":"chatcmpl-'
_OUR_CHAT_ID = b'data: {"id":"chat-'
_CHOICE = b'"choices":[{'


class PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class Tokens(msgspec.Struct):
    """`usage` as the engine reports it."""

    prompt_tokens: int = 0
    completion_tokens: int | None = 0
    prompt_tokens_details: PromptDetails | None = None

    @property
    def cached_tokens(self) -> int | None:
        """None where the engine does not say, which is not none."""
        details = self.prompt_tokens_details
        return None if details is None else details.cached_tokens


class _UsageEvent(msgspec.Struct):
    usage: Tokens | None = None


class _Event(msgspec.Struct):
    """Of which nothing is kept."""


_usage_event = msgspec.json.Decoder(_UsageEvent)
_decode_event = msgspec.json.Decoder(_Event).decode


class Garbled(Exception):
    """The engine sent what cannot be a stream of events."""


class EventFilter:
    """Turns the engine's bytes into the client's, read by read."""

    def __init__(self, served_name: str, public_name: str, keep_usage: bool) -> None:
        self._keep_usage = keep_usage
        self._tail = b""
        self._renames = served_name != public_name
        self._served = b'"model":' + msgspec.json.encode(served_name)
        self._public = b'"model":' + msgspec.json.encode(public_name)
        #: How every token's event of this stream begins, up to its choice, and what stands there
        #: for the client. Learned from the first; no event begins with nothing.
        self._opening: bytes | tuple[()] = ()
        self._opening_bytes = 0
        self._our_opening = b""
        self.tokens: Tokens | None = None
        #: Events with a choice that were passed on; about the tokens sent so far.
        self.events = 0
        self.is_done = False
        #: By `[DONE]` or by an error event; nothing behind it is passed on.
        self.is_over = False
        #: The engine's own error event, which ended the stream.
        self.error: bytes | None = None

    def feed(self, data: bytes) -> bytes:
        """The bytes to pass on now: whole events, without `[DONE]`. Raises Garbled."""
        if (
            data.startswith(self._opening)
            and data.find(b"\n") == len(data) - 2
            and data.endswith(b"\n")
            and not self._tail
            and not self.is_over
        ):  # one token's event, which is what nearly every read brings
            _require_json(data)
            self.events += 1
            return self._our_opening + data[self._opening_bytes :]
        return self._feed(data)

    def counted(self, openings: int) -> Tokens:
        """The engine's own numbers; without them the events passed on, a token each but for those
        that open a choice.
        """
        return self.tokens or Tokens(0, max(0, self.events - openings))

    def _feed(self, data: bytes) -> bytes:
        if self.is_over:
            return b""
        data = self._whole_events(data)
        if not self._opening and _CHOICE in data:
            self._learn(data)
        if _ERROR in data:
            data = self._before_error(data)
        if DONE in data:
            self.is_done = self.is_over = True
            data = data[: data.find(DONE)]
        _require_events(data)
        if _NO_CHOICES in data:
            data = self._metered(data)
        self.events += data.count(_CHOICE)
        return self._ours(data)

    def _ours(self, data: bytes) -> bytes:
        data = data.replace(_CHAT_ID, _OUR_CHAT_ID)
        return data.replace(self._served, self._public) if self._renames else data

    def _learn(self, data: bytes) -> None:
        """From the first event, if it is a token's."""
        opening = data[: data.find(_CHOICE) + len(_CHOICE)]
        if _END not in opening:
            self._opening, self._opening_bytes = opening, len(opening)
            self._our_opening = self._ours(opening)

    def _whole_events(self, data: bytes) -> bytes:
        if self._tail:
            data = self._tail + data
        if data.endswith(_END):
            self._tail = b""
            return data
        end = data.rfind(_END) + 2 if _END in data else 0
        self._tail = data[end:]
        if len(self._tail) > bounds.EVENT_BYTES:
            raise Garbled
        return data[:end]

    def _before_error(self, data: bytes) -> bytes:
        start = 0 if data.startswith(_ERROR) else data.find(b"\n\n" + _ERROR) + 2
        if start == 1:
            return data
        self.is_over = True
        self.error = data[start + 6 : data.find(b"\n\n", start)]
        return data[:start]

    def _metered(self, data: bytes) -> bytes:
        """Reads the usage event; takes it out unless the client asked for it."""
        at = data.find(_NO_CHOICES)
        start = data.rfind(b"\n\n", 0, at) + 2 if b"\n\n" in data[:at] else 0
        end = data.find(b"\n\n", at) + 2
        try:
            self.tokens = _usage_event.decode(data[start + 6 : end]).usage
        except msgspec.MsgspecError as error:
            raise Garbled from error
        return data if self._keep_usage else data[:start] + data[end:]


def _require_events(data: bytes) -> None:
    """Whole ones, with nothing behind them. Raises Garbled."""
    *events, rest = data.split(_END)
    for event in events:
        if not event.startswith(_DATA):
            raise Garbled
        _require_json(event)
    if rest:
        raise Garbled


def _require_json(event: bytes) -> None:
    """An object, in UTF-8: what the decoder skips it does not hold against that. Raises Garbled."""
    try:
        _decode_event(event[6:])
        if not event.isascii():
            event.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Garbled from error
