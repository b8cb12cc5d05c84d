"""The dashboard's own Serve application: on the head, one replica, with a port of its own. Pure.

It is rendered with every fleet, holds no accelerators and serves no client: nothing that answers
requests waits for it.
"""

from typing import Any

from cluster.label import HEAD_RESOURCE
from deployments.fleet import Fleet
from serving.snapshot import INGRESS_APPLICATION

DASHBOARD_APPLICATION = "flotilla-dashboard"
DASHBOARD_DEPLOYMENT = "Dashboard"
DASHBOARD_IMPORT_PATH = "ops.dashboard.deployment:application"
#: Applications that are no replicas.
OWN_APPLICATIONS = frozenset({INGRESS_APPLICATION, DASHBOARD_APPLICATION})
#: Pages that are open are told again and again; none of them is waited for.
STOP_S = 5
HEALTH_PERIOD_S = 5
HEALTH_TIMEOUT_S = 10


def dashboard_application(fleet: Fleet) -> dict[str, Any]:
    """Where it listens, and where the gateway of its own node does."""
    deployment = {
        "name": DASHBOARD_DEPLOYMENT,
        "num_replicas": 1,
        "graceful_shutdown_timeout_s": STOP_S,
        "health_check_period_s": HEALTH_PERIOD_S,
        "health_check_timeout_s": HEALTH_TIMEOUT_S,
        "ray_actor_options": {"num_cpus": 0, "resources": {HEAD_RESOURCE: 0.001}},
    }
    return {
        "name": DASHBOARD_APPLICATION,
        "route_prefix": None,
        "import_path": DASHBOARD_IMPORT_PATH,
        "args": {
            "host": fleet.dashboard.host,
            "port": fleet.dashboard_port,
            "gateway": fleet.gateway.model_dump(exclude_none=True, include={"host", "port", "tls"}),
        },
        "deployments": [deployment],
        **logging_config(fleet),
    }


def logging_config(fleet: Fleet) -> dict[str, Any]:
    """What an application says of the form of its log, which Serve takes over as it runs; nothing
    where Serve's own is right.
    """
    return {"logging_config": {"encoding": "JSON"}} if fleet.logs == "json" else {}
