"""A fleet becomes a plain Serve config. Pure: the same fleet gives the same config, byte for byte.

Rules
1. One application per replica, named `<model>.<n>`, the ingress application with the gateways and
   the Controller, and the dashboard's.
2. What a replica is made of stands in its own application's `args` and bundles: a change restarts
   that replica only.
3. Names, aliases, fallbacks, windows of shared models and the routing stand in the gateways'
   `user_config`: a change restarts nothing.
4. Only what Serve's schema knows: it drops unknown keys without a word.
5. Where a plan has given a replica its nodes, each bundle asks for its own by label; where nobody
   has, Ray chooses.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from cluster.inventory import Inventory
from cluster.label import ADDRESS_LABEL, HEAD_RESOURCE
from deployments.dashboard import dashboard_application, logging_config
from deployments.deployed import Deployed, told_without_inventory
from deployments.fleet import Fleet
from deployments.gateways import GATEWAYS_PER_NODE, MAX_GATEWAYS
from deployments.held import SELECTORS
from deployments.model import Model, Served, Shared, Unavailable
from deployments.weights import is_staged, storage_roots
from serving.replica.spec import EngineValue, ReplicaSpec
from serving.snapshot import CONTROLLER_DEPLOYMENT, GATEWAY_DEPLOYMENT, INGRESS_APPLICATION

#: The address of each stage's node, by replica.
Addresses = Mapping[str, tuple[str, ...]]

INGRESS_IMPORT_PATH = "deployments.ingress:application"
REPLICA_IMPORT_PATH = "serving.replica.deployment:application"
REPLICA_DEPLOYMENT = "Replica"

#: A request ends within this, whatever happens; it is what OpenAI's clients wait for.
DEADLINE_S = 600
#: Serve asks it for the number of gateways.
GATEWAY_POLICY = "deployments.gateway_policy:two_on_every_node"
#: One that is held for each gateway and one with its usage, reports of replicas, and the calls of
#: operators.
CONTROLLER_CALLS = 2 * MAX_GATEWAYS + 512
#: What a stop takes besides the drain: the notice to gateways, the engine's end, Serve's own loop.
STOP_MARGIN_S = 30
#: Three misses are a death for Serve, so a period of a second finds one in three.
REPLICA_HEALTH_PERIOD_S = 1
INGRESS_HEALTH_PERIOD_S = 2
HEALTH_TIMEOUT_S = 10


def render(
    fleet: Fleet, addresses: Addresses | None = None, inventory: Inventory | None = None
) -> dict[str, Any]:
    """The body of Serve's `PUT /api/serve/applications/`; `addresses` are those of a plan for the
    inventory, which says which replicas there are. Without a plan there are `min` of each model.
    """
    roots = () if inventory is None else storage_roots(inventory)
    planned = _least(fleet) if addresses is None else addresses
    replicas = [
        replica_application(fleet, *_model_and_number(replica), at, roots)
        for replica, at in planned.items()
    ]
    return {
        # Gateways have sockets of their own; Serve's proxies are too slow for the path of a
        # request.
        "proxy_location": "Disabled",
        # Serve's schema would listen on every interface.
        "http_options": {"host": "127.0.0.1"},
        "applications": [
            ingress_application(fleet, inventory),
            *replicas,
            dashboard_application(fleet),
        ],
    }


def ingress_application(fleet: Fleet, inventory: Inventory | None = None) -> dict[str, Any]:
    """The gateways and the Controller, which keeps the fleet in step with demand and nodes where
    there is an inventory.
    """
    gateway = {
        "name": GATEWAY_DEPLOYMENT,
        "autoscaling_config": _two_on_every_node(),
        "max_replicas_per_node": GATEWAYS_PER_NODE,
        "user_config": _user_config(fleet),
        "graceful_shutdown_timeout_s": fleet.grace_s + STOP_MARGIN_S,
        "health_check_period_s": INGRESS_HEALTH_PERIOD_S,
        "health_check_timeout_s": HEALTH_TIMEOUT_S,
        "ray_actor_options": {"num_cpus": 0},
    }
    controller = {
        "name": CONTROLLER_DEPLOYMENT,
        "num_replicas": 1,
        "max_ongoing_requests": CONTROLLER_CALLS,
        "health_check_period_s": INGRESS_HEALTH_PERIOD_S,
        "health_check_timeout_s": HEALTH_TIMEOUT_S,
        "ray_actor_options": {"num_cpus": 0, "resources": {HEAD_RESOURCE: 0.001}},
        "user_config": told_without_inventory(fleet)
        if inventory is None
        else Deployed(fleet, inventory).to_config(),
    }
    return {
        "name": INGRESS_APPLICATION,
        "route_prefix": None,
        "import_path": INGRESS_IMPORT_PATH,
        "args": fleet.gateway.model_dump(exclude_none=True, exclude={"routing", "access_log"}),
        "deployments": [gateway, controller],
        **logging_config(fleet),
    }


def _two_on_every_node() -> dict[str, Any]:
    """The number is not part of a fleet: it follows the nodes, and a deploy leaves it alone."""
    return {
        "min_replicas": GATEWAYS_PER_NODE,
        "max_replicas": MAX_GATEWAYS,
        "upscale_delay_s": 0,
        "downscale_delay_s": 0,
        "policy": {"policy_function": GATEWAY_POLICY},
    }


def _user_config(fleet: Fleet) -> dict[str, Any]:
    models = [
        {**_public(name, model), **_price(fleet, model)} for name, model in fleet.models.items()
    ]
    return {
        "models": models,
        "limits": {"deadline_s": DEADLINE_S, "grace_s": fleet.grace_s},
        "routing": fleet.gateway.routing,
        "access_log": fleet.gateway.access_log,
        "traces": fleet.traces,
    }


def _public(name: str, model: Model) -> dict[str, Any]:
    """What a gateway knows of a model."""
    known: dict[str, Any] = {
        "name": name,
        "replica_set": name,
        "aliases": list(model.aliases),
        "window_tokens": 0,
        "fallback": None,
        "created": model.created,
        "unavailable": None,
    }
    match model:
        case Served():
            served = {"window_tokens": model.max_model_len, "fallback": model.fallback}
            return {**known, **served}
        case Shared():
            shared = {"window_tokens": model.max_model_len, "fallback": model.fallback}
            return {**known, **shared, "replica_set": model.replicas_of}
        case Unavailable():
            return {**known, "unavailable": model.unavailable}


def _price(fleet: Fleet, model: Model) -> dict[str, Any]:
    """In nanos for a token, where there is one."""
    if isinstance(model, Unavailable):
        return {}
    price = model.price
    if price is None and isinstance(model, Shared):
        price = fleet.served()[model.replicas_of].price
    return {} if price is None else {"price": msgspec.to_builtins(price.of_a_token())}


def _least(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    """The `min` replicas of each model, without nodes."""
    return {
        replica_name(name, number): ()
        for name, model in fleet.served().items()
        for number in range(model.replicas.min)
    }


def _model_and_number(replica: str) -> tuple[str, int]:
    """What the name of a replica says."""
    model, _, number = replica.rpartition(".")
    return model, int(number)


def replica_name(model: str, number: int) -> str:
    """The application of a replica, by which plans and deploys call it."""
    return f"{model}.{number}"


def replica_spec(
    fleet: Fleet, name: str, model: Served, number: int, roots: tuple[str, ...] = ()
) -> ReplicaSpec:
    """What replica `number` of a model is made of."""
    return ReplicaSpec(
        application=replica_name(name, number),
        replica_set=name,
        served_name=name,
        source=model.source,
        window_tokens=model.max_model_len,
        tensor=model.tensor,
        pipeline=model.pipeline,
        device=fleet.device,
        engine=(*model.engine.items(), *_tracing(fleet)),
        grace_s=fleet.grace_s,
        roots=roots if is_staged(model) else (),
    )


def _tracing(fleet: Fleet) -> tuple[tuple[str, EngineValue], ...]:
    """The engine's spans go where the gateways' go."""
    return () if fleet.traces is None else (("otlp_traces_endpoint", fleet.traces),)


def replica_application(
    fleet: Fleet,
    name: str,
    number: int,
    addresses: tuple[str, ...] = (),
    roots: tuple[str, ...] = (),
) -> dict[str, Any]:
    """One replica, on the nodes of these addresses; where there are none, Ray chooses."""
    model = fleet.served()[name]
    spec = replica_spec(fleet, name, model, number, roots)
    return {
        "name": spec.application,
        "route_prefix": None,
        "import_path": REPLICA_IMPORT_PATH,
        "args": spec.to_args(),
        "deployments": [{**_replica_deployment(spec, model), **_selectors(addresses)}],
        **logging_config(fleet),
    }


def _replica_deployment(spec: ReplicaSpec, model: Served) -> dict[str, Any]:
    stage = spec.stage_resources()
    return {
        "name": REPLICA_DEPLOYMENT,
        "num_replicas": 1,
        "placement_group_bundles": [stage] * spec.pipeline,
        "placement_group_strategy": "STRICT_SPREAD"
        if model.stage_placement == "spread"
        else "PACK",
        # The leader is in the first bundle and takes all of it.
        "ray_actor_options": {"num_cpus": 0, **_actor_resources(stage)},
        "health_check_period_s": REPLICA_HEALTH_PERIOD_S,
        "health_check_timeout_s": HEALTH_TIMEOUT_S,
        "graceful_shutdown_timeout_s": spec.grace_s + STOP_MARGIN_S,
    }


def _selectors(addresses: tuple[str, ...]) -> dict[str, Any]:
    """Each stage on the node that the plan chose for it."""
    wanted = [{ADDRESS_LABEL: address} for address in addresses]
    return {SELECTORS: wanted} if wanted else {}


def _actor_resources(stage: dict[str, float]) -> dict[str, Any]:
    """Ray takes GPUs by a name of their own, and everything else as a resource."""
    gpus = stage.get("GPU")
    return {"resources": stage} if gpus is None else {"num_gpus": gpus}
