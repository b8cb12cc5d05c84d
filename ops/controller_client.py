"""Calls to the Controller over a Ray handle: keys and status, never a request of a client."""

import asyncio
import logging
import os
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from deployments.ray_token import ray_token
from ops.errors import ClusterMissing, ControllerMissing
from serving.snapshot import CONTROLLER_DEPLOYMENT, INGRESS_APPLICATION

if TYPE_CHECKING:
    from deployments.serve_control import Application

CALL_DEADLINE_S = 30.0


def call_controller(method: str, *args: Any) -> Any:
    """Calls one method of the Controller. Raises ServeError, OpsError."""
    # Ray tries for minutes to reach a head that is gone; its dashboard says so at once.
    if INGRESS_APPLICATION not in asyncio.run(_applications()):
        raise ControllerMissing("nothing is deployed")
    _prepare_environment()
    # While a driver is connected Ray prints there that a node has died, amid our answer.
    with redirect_stdout(sys.stderr):
        return _call(method, args)


def _call(method: str, args: tuple[Any, ...]) -> Any:
    import ray
    from ray import serve
    from ray.exceptions import RayError
    from ray.serve.exceptions import RayServeException

    # Serve gives its logger a level of its own when it is imported.
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    try:
        ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise ClusterMissing from error
    try:
        handle = serve.get_deployment_handle(CONTROLLER_DEPLOYMENT, INGRESS_APPLICATION)
        return getattr(handle, method).remote(*args).result(timeout_s=CALL_DEADLINE_S)
    except TimeoutError as late:
        raise ControllerMissing(f"no answer in {CALL_DEADLINE_S:.0f} s") from late
    except (RayError, RayServeException) as error:
        raise ControllerMissing(_first_line(error)) from error
    finally:
        ray.shutdown()


async def _applications() -> "dict[str, Application]":
    from deployments.serve_control import ServeControl

    async with ServeControl() as control:
        return await control.applications()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _prepare_environment() -> None:
    """Ray reads this when it is imported: a driver looks for a token only when told to."""
    if ray_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
