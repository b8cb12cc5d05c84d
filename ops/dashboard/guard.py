"""Plain ASGI in front of every page: refuses whom the door does not let in, before anything else is
looked at, and adds the headers that keep a browser from running what is not ours.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ops.dashboard.door import Door, Visitor, is_token

SESSION_COOKIE = "flotilla-session"
SIGN_IN = "/sign-in"
ASSETS = "/assets/"
TOKEN_HEADER = "x-csrf-token"  # noqa: S105 - a name
#: No code and no style but our own files, nothing from elsewhere, no frame around us.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visitor = visitor_of(self._door, HTTPConnection(scope))
        scope["state"] = {"visitor": visitor}
        answer = self._refusal(scope, visitor) or self._app
        # Our files are the same for everybody and asked after; a page is kept by no browser.
        kept = "no-cache" if scope["path"].startswith(ASSETS) else "no-store"
        await answer(scope, receive, _with_headers(send, kept))

    def _refusal(self, scope: Scope, visitor: Visitor | None) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if not self._door.is_known_host(headers.get("host", "")):
            return _no(421, "This host is not ours: use the address that `flotilla up` printed.")
        if scope["method"] in ("GET", "HEAD"):
            may_look = self._door.is_open or visitor or path == SIGN_IN or path.startswith(ASSETS)
            return None if may_look else RedirectResponse(SIGN_IN, 303)
        if not self._door.is_own_page(headers):
            return _no(403, "This came from another page than ours.")
        if path == SIGN_IN:
            return None
        if visitor is None:
            return _no(401, "Sign in first.")
        if not is_token(visitor, headers.get(TOKEN_HEADER, "")):
            return _no(403, "The page is older than the session: load it again.")
        return None


def visitor_of(door: Door, connection: HTTPConnection) -> Visitor | None:
    return door.visitor(connection.cookies.get(SESSION_COOKIE, ""))


def _no(status: int, text: str) -> Response:
    return PlainTextResponse(text, status)


def _with_headers(send: Send, kept: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers.setdefault("cache-control", kept)
        await send(message)

    return sending
