"""The dashboard's routes. A handler is a few lines: what is shown is in `view` and `html`, who may
is in `door`, what is done is in `deed`.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import htpy as h
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from deployments.errors import DeploymentError
from deployments.recent import MOST
from ops.dashboard.answer import fragment, page, signed_in
from ops.dashboard.body import TooLarge, form
from ops.dashboard.deed import DEEDS, Deed, Values, ValuesUnusable
from ops.dashboard.deploys import Deploys
from ops.dashboard.door import SESSION_S, Door, Visitor
from ops.dashboard.fleet_pages import fleet_routes
from ops.dashboard.guard import SESSION_COOKIE, SIGN_IN, Guard
from ops.dashboard.html import forms
from ops.dashboard.html.page import overview, shell
from ops.dashboard.html.playground import playground
from ops.dashboard.html.requests import found
from ops.dashboard.playground import Playground
from ops.dashboard.source import Source
from ops.dashboard.view.request import matching, requests
from ops.dashboard.watch import Watch
from ops.errors import OpsError

ASSETS_FOLDER = Path(__file__).parent / "assets"
FOUND_SHOWN = 100
SEARCH_CHARS = 200


class Pages:
    def __init__(self, watch: Watch, door: Door, source: Source, chat: Playground) -> None:
        self._watch = watch
        self._door = door
        self._source = source
        self._chat = chat

    # Looking
    async def overview(self, request: Request) -> Response:
        ticket, panels = await self._watch.hand_out()
        return page(overview(panels, ticket, signed_in(request)))

    async def live(self, request: Request) -> Response:
        """Server-sent events, each with the HTML of a part of the page that has changed."""
        if self._watch.is_full:
            return PlainTextResponse("Too many pages are open: close some.", 503)
        news = self._watch.news(request.query_params.get("ticket", ""))
        return StreamingResponse(_events(news), media_type="text/event-stream")

    async def search(self, request: Request) -> Response:
        text = request.query_params.get("text", "").strip()[:SEARCH_CHARS]
        lines = await self._source.recent(MOST)
        shown = matching(requests(lines, self._watch.key_names), text, FOUND_SHOWN)
        return page(found(shown, len(lines)))

    async def log(self, request: Request) -> Response:
        """What a replica prints may say more than a stranger should know."""
        if signed_in(request) is None:
            return fragment(forms.sign_in_first())
        name = request.query_params.get("replica", "")[:SEARCH_CHARS]
        try:
            return fragment(forms.log(name, await self._source.log(name)))
        except TimeoutError:
            return fragment(forms.refused(name, "its node does not give the log in time"))
        except (OpsError, DeploymentError) as error:
            return fragment(forms.refused(name, str(error)))

    async def playground(self, request: Request) -> Response:
        await self._watch.fresh()
        visitor = signed_in(request)
        models = self._watch.page.models
        return page(shell(visitor, [], playground(models, self._chat.base_url, visitor)))

    async def ask(self, request: Request) -> Response:
        return await self._chat.ask(request)

    # Who it is
    async def sign_in_form(self, _: Request) -> Response:
        return page(shell(None, [], forms.sign_in_form()))

    async def sign_in(self, request: Request) -> Response:
        values = await form(request)
        session = self._door.sign_in(values.get("name", ""), values.get("key", ""))
        if session is None:
            problem = "this is not the dashboard's key, or no name"
            return page(shell(None, [], forms.sign_in_form(problem)), 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            SESSION_COOKIE, session, max_age=int(SESSION_S), httponly=True, samesite="strict"
        )
        return answer

    async def sign_out(self, request: Request) -> Response:
        self._door.sign_out(request.cookies.get(SESSION_COOKIE, ""))
        return PlainTextResponse("", headers={"hx-redirect": "/"})

    # Acting
    async def deed_form(self, request: Request) -> Response:
        deed, values = _deed(request), dict(request.query_params)
        if signed_in(request) is None:
            return fragment(forms.sign_in_first())
        body = deed.body(values, self._watch.page)
        path = request.url.path
        return fragment(forms.ask(path, deed.title(values), deed.confirm, values, body))

    async def do(self, request: Request) -> Response:
        deed, values, visitor = _deed(request), await form(request), signed_in(request)
        if visitor is None:
            raise HTTPException(401)
        return fragment(await self._done(deed, values, visitor))

    async def _done(self, deed: Deed, values: Values, visitor: Visitor) -> h.Node:
        title = deed.title(values)
        try:
            reply = await self._source.perform(deed.act(values), f"{visitor.name} (dashboard)")
        except ValuesUnusable as error:
            return forms.refused(title, str(error))
        except TimeoutError:
            return forms.refused(title, "no answer in time: it may be done all the same, look")
        if reply.refusal is not None:
            return forms.refused(title, reply.refusal)
        return forms.done(title, str(reply.value or ""))


def app(watch: Watch, door: Door, source: Source, chat: Playground, deploys: Deploys) -> ASGIApp:
    pages = Pages(watch, door, source, chat)
    routes = [
        Route("/", pages.overview),
        Route("/live", pages.live),
        Route("/requests", pages.search),
        Route("/log", pages.log),
        Route("/playground", pages.playground),
        Route("/playground", pages.ask, methods=["POST"]),
        Route(SIGN_IN, pages.sign_in_form),
        Route(SIGN_IN, pages.sign_in, methods=["POST"]),
        Route("/sign-out", pages.sign_out, methods=["POST"]),
        Route("/acts/{deed}", pages.deed_form),
        Route("/acts/{deed}", pages.do, methods=["POST"]),
        *fleet_routes(deploys),
        Mount("/assets", StaticFiles(directory=ASSETS_FOLDER)),
    ]
    return Guard(Starlette(routes=routes, exception_handlers={TooLarge: _too_large}), door)


def _deed(request: Request) -> Deed:
    deed = DEEDS.get(request.path_params["deed"])
    if deed is None:
        raise HTTPException(404, "There is no such act.")
    return deed


async def _events(news: AsyncIterator[str]) -> AsyncIterator[str]:
    async for html in news:
        lines = f"<template>{html}</template>".replace("\r", "").replace("\n", "\ndata: ")
        yield f"event: news\ndata: {lines}\n\n"


async def _too_large(_: Request, __: Exception) -> Response:
    return PlainTextResponse("This is more than is taken here.", 413)
