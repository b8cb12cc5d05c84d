"""What the head of a request alone decides: route, key, method, type, length. In that order nothing
is given away.

Without a good key the answer is 401 whatever the path looks like; only the two status words are
free.
"""

import re

from serving.bounds import BODY_BYTES, SESSION_BYTES
from serving.errors import ApiError, Refusal
from serving.gateway.auth import Authenticator
from serving.gateway.parser import Head, body_too_large
from serving.gateway.patience import patience_of
from serving.gateway.route import Route, find
from serving.limits.terms import Priority
from serving.snapshot import KeyRecord

_JSON = b"application/json"
_PRIORITIES = {each.name.lower().encode(): each for each in Priority}
_SESSION = re.compile(rb"[!-~]{1,%d}" % SESSION_BYTES)


def check_head(head: Head, auth: Authenticator) -> ApiError | None:
    """The refusal, or None with the route's kind and the key noted in the head."""
    route = find(head.target)
    if route is None or route.needs_key:
        key = auth.check(head)
        if isinstance(key, ApiError):
            return key
        head.key = key
        refused = _check_priority(head, key)
        if refused is not None:
            return refused
    if route is None:
        return ApiError(Refusal.UNKNOWN_URL, "There is nothing at this URL.")
    head.kind = route.kind
    return _check_method(head, route) or _check_length(head)


def _check_priority(head: Head, key: KeyRecord) -> ApiError | None:
    """Notes the class that is claimed, if the key may claim it."""
    said = head.headers.get(b"x-flotilla-priority")
    if said is None:
        return None
    claimed = _PRIORITIES.get(said)
    if claimed is None or (head.repeated and b"x-flotilla-priority" in head.repeated):
        message = "Send 'X-Flotilla-Priority' once, as batch, standard or interactive."
        return ApiError(Refusal.INVALID_REQUEST, message)
    if claimed > key.priority:
        highest = key.priority.name.lower()
        message = f"This key may claim the priority '{highest}' at most."
        return ApiError(Refusal.PERMISSION_DENIED, message)
    head.priority = claimed
    return None


def _check_method(head: Head, route: Route) -> ApiError | None:
    if head.method != route.method and not (head.method == b"HEAD" and route.method == b"GET"):
        allow = "GET, HEAD" if route.method == b"GET" else route.method.decode()
        message = f"This URL takes {allow} only."
        return ApiError(Refusal.METHOD_NOT_SUPPORTED, message, allow=allow)
    if route.method == b"POST":
        return _check_type(head.headers) or _check_session(head.headers) or _note_patience(head)
    return None


def _check_type(headers: dict[bytes, bytes]) -> ApiError | None:
    given = headers.get(b"content-type", b"")
    if given != _JSON and not _is_json(given):
        message = "Send the body as 'Content-Type: application/json' in UTF-8."
        return ApiError(Refusal.UNSUPPORTED_CONTENT_TYPE, message)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        message = "Send the body as it is: no content encoding is taken."
        return ApiError(Refusal.UNSUPPORTED_CONTENT_TYPE, message)
    return None


def _check_session(headers: dict[bytes, bytes]) -> ApiError | None:
    session = headers.get(b"x-session-id")
    if session is None or _SESSION.fullmatch(session):
        return None
    message = (
        f"Send 'X-Session-ID' as 1 to {SESSION_BYTES} visible ASCII characters, or not at all."
    )
    return ApiError(Refusal.INVALID_REQUEST, message)


def _note_patience(head: Head) -> ApiError | None:
    try:
        head.patience = patience_of(head.headers)
    except ApiError as refused:
        return refused
    return None


def _is_json(value: bytes) -> bool:
    media, _, rest = value.partition(b";")
    if media.strip().lower() != _JSON:
        return False
    parameters = (part.strip().lower().replace(b'"', b"") for part in rest.split(b";"))
    return all(part in (b"", b"charset=utf-8", b"charset=utf8") for part in parameters)


def _check_length(head: Head) -> ApiError | None:
    length = head.headers.get(b"content-length")
    if length is not None and int(length) > BODY_BYTES:
        return body_too_large()
    return None
