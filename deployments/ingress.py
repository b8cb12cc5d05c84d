"""The ingress application: the gateways in front and the Controller behind them."""

from pathlib import Path
from typing import Any

from ray import serve
from ray.serve import Application

from deployments.controller import Controller
from serving.gateway.certificate import TlsFiles
from serving.gateway.deployment import Gateway
from serving.serve_log import join_serve_log
from serving.snapshot import CONTROLLER_DEPLOYMENT, GATEWAY_DEPLOYMENT


class _LoggingController(Controller):
    """The Controller in its process."""

    def __init__(self) -> None:
        join_serve_log()
        super().__init__()


def application(args: dict[str, Any]) -> Application:
    """Builds the application from the `args` of a rendered Serve config: `host`, `port`, and `tls`
    where there is a certificate.
    """
    controller = serve.deployment(name=CONTROLLER_DEPLOYMENT)(_LoggingController).bind()
    gateway = serve.deployment(name=GATEWAY_DEPLOYMENT)(Gateway)
    files = args.get("tls")
    tls = files and TlsFiles(Path(files["certificate"]), Path(files["key"]))
    return gateway.bind(controller, host=args["host"], port=args["port"], tls=tls)
