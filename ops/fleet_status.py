"""What `flotilla status` shows, as one JSON value and as tables. Serve knows which applications
there are and why one does not run; the Controller knows what replicas and gateways say of
themselves.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from deployments.apply import trimmed
from deployments.dashboard import OWN_APPLICATIONS
from deployments.running import addresses_of
from deployments.serve_control import Application, user_config
from serving.restarts import WINDOW_S
from serving.snapshot import GATEWAY_DEPLOYMENT, INGRESS_APPLICATION


def fleet_status(
    applications: Mapping[str, Application], controller: Mapping[str, Any] | str
) -> dict[str, Any]:
    """Models, replicas and gateways; `controller` is its status, or why there is none."""
    known = {} if isinstance(controller, str) else controller
    reports = {report["application"]: report for report in known.get("replicas", ())}
    return {
        "models": _models(applications, reports),
        "replicas": [
            _replica(application, reports.get(name))
            for name, application in applications.items()
            if name not in OWN_APPLICATIONS
        ],
        "gateways": [_gateway(report) for report in known.get("gateways", ())],
        "keys": known.get("keys"),
        "scaling": known.get("scaling"),
        "traffic": list(known.get("models", ())),
        "replica_sets": list(known.get("replica_sets", ())),
        "events": list(known.get("events", ())),
        "notes": list(_notes(applications, controller)),
    }


def tables(view: Mapping[str, Any]) -> list[Table]:
    """The view for a terminal."""
    models = _table("models", "model", "window", "replicas of", "ready", "fallback", "aliases")
    for model in view["models"]:
        ready = model["unavailable"] or str(model["ready_replicas"])
        window, fallback = str(model["window_tokens"] or ""), model["fallback"] or ""
        aliases = " ".join(model["aliases"])
        models.add_row(model["name"], window, model["replica_set"], ready, fallback, aliases)
    replicas = _table(
        "replicas", "replica", "state", "stages", "running", "waiting", "kv", "token/s"
    )
    for replica in view["replicas"]:
        load = replica["load"]
        replicas.add_row(
            replica["application"], replica["state"], " ".join(replica["stages"]), *_load(load)
        )
    gateways = _table("gateways", "gateway", "node", "address", "in flight")
    for gateway in view["gateways"]:
        gateways.add_row(
            gateway["gateway_id"], gateway["node"], gateway["address"], str(gateway["in_flight"])
        )
    return [models, replicas, gateways]


def scaling_lines(view: Mapping[str, Any]) -> Iterator[str]:
    """Why models have so many replicas, and what was decided last."""
    scaling = view["scaling"]
    if scaling is None:
        yield "nobody changes the number of replicas: deployed without an inventory"
        return
    for model, why in scaling["why"].items():
        yield f"{model}  {why}" if model else why
    for line in scaling["history"]:
        at_s, _, change = line.partition(" ")
        yield f"{datetime.fromtimestamp(int(at_s), UTC).astimezone():%Y-%m-%d %H:%M:%S}  {change}"


def _models(
    applications: Mapping[str, Application], reports: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    told = user_config(applications, INGRESS_APPLICATION, GATEWAY_DEPLOYMENT)
    ready = [each["replica_set"] for each in reports.values() if each["phase"] == "ready"]
    return [
        {**model, "ready_replicas": ready.count(model["replica_set"])}
        for model in told.get("models", ())
    ]


def _replica(application: Application, report: Mapping[str, Any] | None) -> dict[str, Any]:
    running = application.status == "RUNNING"
    state = str(report["phase"]) if report and running else application.status.value.lower()
    return {
        "application": application.name,
        "state": state,
        "stages": list(report["stages"]) if report else [],
        "planned": list(addresses_of(application.config or {})),
        "address": report["address"] if report else "",
        "served_name": report["served_name"] if report else "",
        "pid": report["pid"] if report else 0,
        "load": dict(report["load"]) if report else None,
    }


def _gateway(report: Mapping[str, Any]) -> dict[str, Any]:
    in_flight = sum(count for _, count in report["in_flight"])
    kept = {key: report[key] for key in ("gateway_id", "node", "pid", "address")}
    return {**kept, "in_flight": in_flight, "left_out": list(report["left_out"])}


def _notes(
    applications: Mapping[str, Application], controller: Mapping[str, Any] | str
) -> Iterator[str]:
    if isinstance(controller, str):
        yield controller
    for application in applications.values():
        cause = trimmed(application.cause())
        if application.status != "RUNNING" and cause:
            yield f"{application.name}: {cause}"
    if not isinstance(controller, str):
        yield from suspects(controller)
        yield from blocks(controller)
        yield from _misplaced(applications, controller.get("replicas", ()))
        yield from _out_of_favour(controller)
        for replica, count in controller.get("restarts", {}).items():
            yield f"{replica} died {count} times within {WINDOW_S / 60:.0f} minutes: see its log"


def suspects(controller: Mapping[str, Any]) -> Iterator[str]:
    """Which nodes take nothing new, and why."""
    for address, what in controller.get("suspects", {}).items():
        yield f"{address} is {what}; nothing starts there"


def blocks(controller: Mapping[str, Any]) -> Iterator[str]:
    """Which replicas have no place, as after the loss of a node, and why."""
    scaling = controller.get("scaling") or {}
    for replica, why in scaling.get("blocked", {}).items():
        yield f"{replica} is blocked: {why}"


def _misplaced(
    applications: Mapping[str, Application], reports: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    """Where a replica is not where the plan wanted it."""
    for report in reports:
        application = applications.get(report["application"])
        planned = addresses_of(application.config or {}) if application else ()
        stages = tuple(report["stages"])
        if planned and stages and stages != planned:
            placed = f"planned on {' '.join(planned)}, runs on {' '.join(stages)}"
            yield f"{report['application']}: {placed}"


def _out_of_favour(controller: Mapping[str, Any]) -> Iterator[str]:
    """Which replicas fail whom, and whether requests have killed any."""
    for report in controller.get("gateways", ()):
        if report["left_out"]:
            yield f"{report['gateway_id']} leaves out {' '.join(report['left_out'])}: see its log"
    count = controller.get("quarantined", 0)
    if count:
        yield f"requests that replicas died with and that are refused now: {count}"


def _load(load: Mapping[str, Any] | None) -> list[str]:
    if load is None:
        return ["", "", "", ""]
    share, speed = f"{load['kv_use']:.0%}", f"{load['tokens_per_s']:.0f}"
    return [str(load["running"]), str(load["waiting"]), share, speed]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
