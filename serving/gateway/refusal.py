"""What vLLM says when it does not answer, in our words. errors.md: none of its own shapes
reaches a client.
"""

import re
from collections.abc import Callable

import msgspec

from serving.errors import ApiError, FieldError, Refusal
from serving.routing.breaker import Symptom

#: A place is free again within the time of an answer.
MOST_RETRY_AFTER_S = 10
_MESSAGE_CHARS = 300
#: Paths, addresses, class names with modules, tracebacks.
_UNSAFE = re.compile(
    r"/\w+/|0x[0-9a-fA-F]{6,}|Traceback|\w+\.\w+\.\w+|Error\(|<\w+ object", re.ASCII
)
#: What vLLM answers everybody with whose engine has died.
_ENGINE_DEAD = re.compile(r"EngineCore|EngineDead")
_CONTEXT = re.compile(
    r"context length|max_model_len|longer than the maximum model length|maximum input length"
)


class NotTaken(Exception):
    """The replica has not begun with the request; another one may."""

    was_taken = False

    def __init__(self, error: ApiError, symptom: Symptom = Symptom.BUSY) -> None:
        super().__init__(error.message)
        self.error = error
        self.symptom = symptom


class NotReached(NotTaken):
    """Nobody took the connection: nothing was sent, and one more try is no load on anyone."""


class DiedWithIt(NotTaken):
    """The replica had it and failed: blame is possible, so one more try at most."""

    was_taken = True

    def __init__(self, error: ApiError, symptom: Symptom = Symptom.FAILED) -> None:
        super().__init__(error, symptom)

    @property
    def is_death(self) -> bool:
        """Whether the request may be what killed it."""
        return self.symptom in (Symptom.DIED, Symptom.HUNG, Symptom.UNREACHABLE)


class _Inner(msgspec.Struct):
    message: str = ""
    param: str | None = None
    code: int | str | None = None


class _Reply(msgspec.Struct):
    error: _Inner | str = ""


_reply = msgspec.json.Decoder(_Reply)


def read(body: bytes) -> tuple[str, str | None, int]:
    """Message, param and status of an error reply or of an error event's data."""
    try:
        inner = _reply.decode(body).error
    except (msgspec.MsgspecError, ValueError):
        return "", None, 500
    if isinstance(inner, str):
        return inner, None, 500
    return inner.message, inner.param, inner.code if isinstance(inner.code, int) else 500


def translate(status: int, body: bytes, param: str) -> Exception:
    """What to raise for a reply that is no 200; `param` is where the prompt stands."""
    message, field, _ = read(body)
    if status in (400, 413, 422, 501):
        return _request_fault(message, field, param)
    if status in (429, 503):
        return NotTaken(overloaded())
    if status == 404:
        return NotTaken(unavailable(), Symptom.FAILED)
    if status in (401, 403):
        return NotTaken(
            upstream("The replica did not take the gateway's credentials."), Symptom.UNREACHABLE
        )
    return DiedWithIt(upstream(), Symptom.DIED if _ENGINE_DEAD.search(message) else Symptom.FAILED)


def translate_event(body: bytes, param: str) -> Exception:
    """The same for an error inside a 200 stream."""
    return translate(read(body)[2], body, param)


def _request_fault(message: str, field: str | None, param: str) -> ApiError:
    if _CONTEXT.search(message):
        text = safe(message, "The prompt and the tokens asked for do not fit the model's window.")
        return ApiError(Refusal.CONTEXT_LENGTH_EXCEEDED, text, param=param)
    text = safe(message, "The engine refused the request.")
    return FieldError(text, field if field and len(field) <= 64 else None)


def safe(message: str, instead: str) -> str:
    """vLLM's words for people, if that is all they are."""
    line = message.strip().split("\n", 1)[0]
    if not line or len(line) > _MESSAGE_CHARS or _UNSAFE.search(line) or "{" in line:
        return instead
    return "".join(c for c in line if c.isprintable())


def upstream(message: str = "The replica failed before it answered.") -> ApiError:
    return ApiError(Refusal.UPSTREAM_ERROR, message)


def overloaded(message: str = "All replicas of this model are busy.") -> ApiError:
    return ApiError(Refusal.OVERLOADED, message, retry_after_s=1)


def full(dice: Callable[[int], int]) -> ApiError:
    """Refused clients are told different times, so that they do not come back together."""
    message = "All replicas of this model are busy."
    seconds = 1 + dice(MOST_RETRY_AFTER_S)
    return ApiError(Refusal.OVERLOADED, message, retry_after_s=seconds)


def quarantined() -> ApiError:
    """The answer says not to try again: whoever does would take one more replica down."""
    message = "Replicas failed with this request twice; it is not tried again. Change it."
    return ApiError(Refusal.INTERNAL, message)


def shutting_down() -> ApiError:
    return ApiError(Refusal.SHUTTING_DOWN, "This gateway is shutting down.", retry_after_s=1)


def unavailable(seconds: int = 5) -> ApiError:
    message = "No replica of this model is ready."
    return ApiError(Refusal.MODEL_UNAVAILABLE, message, retry_after_s=seconds)
