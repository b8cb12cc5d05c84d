"""What every handler answers with, and whom."""

import htpy as h
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ops.dashboard.door import Visitor


def signed_in(request: Request) -> Visitor | None:
    """Who signed in, as the guard knows him."""
    visitor: Visitor | None = request.state.visitor
    return visitor


def page(content: h.Renderable, status: int = 200) -> Response:
    return HTMLResponse(str(content), status)


def fragment(content: h.Node) -> Response:
    return HTMLResponse(str(h.fragment[content]))
