"""The routes on which another fleet is made to run. What is shown is in `html.fleet`, what is done
in `deploys`.
"""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.errors import DeploymentError
from deployments.yaml_text import MAX_BYTES
from ops.dashboard.answer import fragment, page, signed_in
from ops.dashboard.body import form
from ops.dashboard.deploys import Deploys
from ops.dashboard.html import fleet as html
from ops.dashboard.html.forms import sign_in_first
from ops.dashboard.html.page import shell
from ops.dashboard.wanted import Wanted, pasted
from ops.errors import OpsError

#: A form writes up to three bytes for one; what is larger than a fleet file is refused in words.
MOST_FORM_BYTES = 3 * MAX_BYTES + (16 << 10)
#: What a confirmation sends again.
FIELDS = ("text", "file", "before")


class FleetPages:
    def __init__(self, deploys: Deploys) -> None:
        self._deploys = deploys

    async def show(self, request: Request) -> Response:
        visitor = signed_in(request)
        if visitor is None:
            return page(shell(None, [], sign_in_first()))
        under_way = self._deploys.view if self._deploys.is_at_work else None
        return page(shell(visitor, [], html.fleet_page(self._deploys.past(), under_way)))

    async def plan(self, request: Request) -> Response:
        values = await form(request, MOST_FORM_BYTES)
        try:
            shown = await self._deploys.plan(self._wanted(values))
        except (DeploymentError, OpsError) as error:
            return fragment(html.refused(str(error)))
        hidden = {name: values[name] for name in FIELDS if values.get(name)}
        return fragment(html.planned(shown, hidden))

    async def deploy(self, request: Request) -> Response:
        values, visitor = await form(request, MOST_FORM_BYTES), signed_in(request)
        if visitor is None:
            raise HTTPException(401)
        try:
            wanted = self._wanted(values)
            view = self._deploys.begin(
                wanted, values.get("seal", ""), f"{visitor.name} (dashboard)"
            )
        except (DeploymentError, OpsError) as error:
            return fragment(html.refused(str(error)))
        return fragment(html.progress(view))

    async def progress(self, request: Request) -> Response:
        view = self._deploys.view
        if signed_in(request) is None or view is None:
            return fragment(sign_in_first())
        return fragment(html.progress(view))

    def _wanted(self, values: Mapping[str, str]) -> Wanted:
        """Raises FleetInvalid, FleetUnknown."""
        if before := values.get("before"):
            return self._deploys.past_fleet(before)
        return pasted(values.get("text", ""), values.get("file", ""))


def fleet_routes(deploys: Deploys) -> list[Route]:
    pages = FleetPages(deploys)
    return [
        Route("/fleet", pages.show),
        Route(html.PLAN_PATH, pages.plan, methods=["POST"]),
        Route(html.DEPLOY_PATH, pages.deploy, methods=["POST"]),
        Route(html.PROGRESS_PATH, pages.progress),
    ]
