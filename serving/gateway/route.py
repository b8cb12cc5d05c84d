"""The closed list of routes. The undecoded path is compared, never a URL rebuilt from Host:
CVE-2026-48746.
"""

from dataclasses import dataclass
from enum import IntEnum, auto
from urllib.parse import unquote_to_bytes

_MODEL_PREFIX = b"/v1/models/"


class Kind(IntEnum):
    """A plain Enum's hash is Python's own code, and every request is counted by its kind."""

    CHAT = auto()
    COMPLETION = auto()
    MODELS = auto()
    MODEL = auto()
    USAGE = auto()
    HEALTH = auto()
    READY = auto()
    DOCUMENT = auto()


@dataclass(frozen=True, slots=True)
class Route:
    kind: Kind
    method: bytes
    needs_key: bool = True


ROUTES = {
    b"/v1/chat/completions": Route(Kind.CHAT, b"POST"),
    b"/v1/completions": Route(Kind.COMPLETION, b"POST"),
    b"/v1/models": Route(Kind.MODELS, b"GET"),
    b"/v1/usage": Route(Kind.USAGE, b"GET"),
    b"/healthz": Route(Kind.HEALTH, b"GET", needs_key=False),
    b"/readyz": Route(Kind.READY, b"GET", needs_key=False),
    b"/openapi.json": Route(Kind.DOCUMENT, b"GET"),
}
ONE_MODEL = Route(Kind.MODEL, b"GET")


def find(target: bytes) -> Route | None:
    route = ROUTES.get(target)
    if route is not None:
        return route
    path = target.partition(b"?")[0]
    if path.startswith(_MODEL_PREFIX) and model_name(target) is not None:
        return ONE_MODEL
    return ROUTES.get(path)


def model_name(target: bytes) -> str | None:
    """The last segment of `/v1/models/{id}`, percent-decoded once; None if it is no single
    segment.
    """
    segment = target.partition(b"?")[0].removeprefix(_MODEL_PREFIX)
    if not segment or b"/" in segment:
        return None
    try:
        name = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        return None
    return None if name in (".", "..") else name
