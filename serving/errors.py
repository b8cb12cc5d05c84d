"""Every refusal a client can see: one table, one exception, one function that turns it into HTTP.

    ApiError
    └── FieldError      a field of the body is wrong; carries its path and a fine code

Nothing else of ours reaches a client; what vLLM or a parser says is translated into one of these
first.
"""

from dataclasses import dataclass
from enum import Enum

import msgspec

INVALID = "invalid_request_error"
SERVER = "server_error"
UNAVAILABLE = "service_unavailable_error"

#: Characters; a message is one sentence for a person.
MESSAGE_LIMIT = 500
#: Characters of a caller's own text that may come back in a message.
ECHO_LIMIT = 64
#: Seconds; clients sleep at most 60 on our word.
RETRY_AFTER_LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class Row:
    status: int
    type: str
    code: str | None
    #: What `x-should-retry` says; None leaves the header out and the status speaks.
    should_retry: bool | None = None
    #: The connection ends with this answer.
    closes: bool = False


class Refusal(Enum):
    """The table. A member's `code` is error code, metric label and log word in one."""

    #: Something in the body or the headers is wrong; `param` names it, `code` may be finer.
    INVALID_REQUEST = Row(400, INVALID, None)
    #: What came is no HTTP that has only one reading.
    BAD_FRAMING = Row(400, INVALID, None, closes=True)
    #: Prompt and answer fit neither the window of the model nor that of any fallback.
    CONTEXT_LENGTH_EXCEEDED = Row(400, INVALID, "context_length_exceeded")
    #: There is no `Authorization: Bearer KEY`.
    NO_KEY = Row(401, INVALID, None, should_retry=None)
    #: Nobody made this key, or it was revoked or has expired.
    INVALID_API_KEY = Row(401, INVALID, "invalid_api_key")
    #: The key may not claim that priority.
    PERMISSION_DENIED = Row(403, INVALID, "permission_denied")
    #: There is no such model, or the key may not ask for it; which of the two is not told.
    MODEL_NOT_FOUND = Row(404, INVALID, "model_not_found")
    #: No route has this path.
    UNKNOWN_URL = Row(404, INVALID, "unknown_url")
    #: The route takes another method; `Allow` names it.
    METHOD_NOT_SUPPORTED = Row(405, INVALID, "method_not_supported")
    #: The body is over its bound.
    BODY_TOO_LARGE = Row(413, INVALID, "request_too_large", closes=True)
    #: The URL is over its bound.
    URL_TOO_LARGE = Row(414, INVALID, "request_too_large", closes=True)
    #: The headers are over their bound, in number or in bytes.
    HEADERS_TOO_LARGE = Row(431, INVALID, "request_too_large", closes=True)
    #: The body is not sent as plain `application/json` in UTF-8.
    UNSUPPORTED_CONTENT_TYPE = Row(415, INVALID, "unsupported_content_type")
    #: A limit of the key is reached; `Retry-After` says when there is room again.
    RATE_LIMIT_EXCEEDED = Row(429, "rate_limit_error", "rate_limit_exceeded")
    #: What the key had for this month is spent; trying again does not help.
    INSUFFICIENT_QUOTA = Row(429, "insufficient_quota", "insufficient_quota", should_retry=False)
    #: A fault of ours, or a request that two replicas died with.
    INTERNAL = Row(500, SERVER, None, should_retry=False)
    #: The replica died or answered nonsense, and no other could be asked any more.
    UPSTREAM_ERROR = Row(502, SERVER, "upstream_error")
    #: The model and the queue before it are full; or keys, limits or usage are out of reach.
    OVERLOADED = Row(503, UNAVAILABLE, "server_is_overloaded")
    #: No replica of the model runs; `Retry-After` says when one may.
    MODEL_UNAVAILABLE = Row(503, UNAVAILABLE, "model_unavailable")
    #: This gateway leaves; another one answers the same address.
    SHUTTING_DOWN = Row(503, UNAVAILABLE, "shutting_down", closes=True)
    #: The request was not done within its deadline.
    DEADLINE_EXCEEDED = Row(504, SERVER, "deadline_exceeded", should_retry=False)


class ApiError(Exception):
    """A refusal with the words for it."""

    def __init__(
        self,
        refusal: Refusal,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: int | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message[:MESSAGE_LIMIT]
        self.param = param
        self.retry_after_s = retry_after_s
        #: Methods of the route, for 405.
        self.allow = allow

    @property
    def row(self) -> Row:
        return self.refusal.value

    @property
    def code(self) -> str | None:
        return self.row.code


class FieldError(ApiError):
    """400 for one field of the body."""

    def __init__(self, message: str, param: str | None, code: str | None = None) -> None:
        super().__init__(Refusal.INVALID_REQUEST, message, param=param)
        self._code = code

    @property
    def code(self) -> str | None:
        return self._code


def quote(text: str) -> str:
    """A caller's own words, short and printable, for use inside a message."""
    kept = text if len(text) <= ECHO_LIMIT - 3 else text[: ECHO_LIMIT - 3] + "..."
    return "".join(c if c.isprintable() else "?" for c in kept)


def envelope(error: ApiError) -> bytes:
    """The JSON body, always with its four keys."""
    inner = {
        "message": error.message,
        "type": error.row.type,
        "param": error.param,
        "code": error.code,
    }
    return msgspec.json.encode({"error": inner})


def headers(error: ApiError) -> list[tuple[bytes, bytes]]:
    """What the status needs beside it; the connection adds length, id and whether it closes."""
    found = [(b"content-type", b"application/json")]
    if error.row.status == 401:
        found.append((b"www-authenticate", b"Bearer"))
    if error.allow is not None:
        found.append((b"allow", error.allow.encode()))
    if error.retry_after_s is not None:
        seconds = min(max(error.retry_after_s, 1), RETRY_AFTER_LIMIT_S)
        found.append((b"retry-after", b"%d" % seconds))
    if error.row.should_retry is not None:
        found.append((b"x-should-retry", b"true" if error.row.should_retry else b"false"))
    return found


def to_http(error: ApiError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return error.row.status, headers(error), envelope(error)


def event(error: ApiError) -> bytes:
    """The same failure as the last event of a stream; no `[DONE]` follows it."""
    return b"data: " + envelope(error) + b"\n\n"
