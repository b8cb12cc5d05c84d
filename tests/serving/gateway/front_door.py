"""A real HAProxy with the config that we render, at addresses and ports of a test."""

import asyncio
import shutil
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cluster.inventory import Inventory
from deployments.fleet import Fleet
from deployments.front_door import CERTIFICATE, GATEWAY_CA, render_front_door
from serving.gateway.certificate import TlsFiles
from tests.serving.gateway import certificates
from tests.serving.gateway.rig import Client

#: Two nodes: the whole of 127.0.0.0/8 is this machine.
NODES = ("127.0.0.11", "127.0.0.12")
#: Needs root, and no test does.
_ROOT_ONLY = ("    user ", "    group ", "    chroot ")
#: Debian has it where only root looks.
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


def missing() -> str:
    """Why no front door can be opened here; empty when one can."""
    return certificates.missing() or ("" if HAPROXY else "no `haproxy`: install haproxy")


@dataclass
class FrontDoor:
    port: int
    tls: ssl.SSLContext
    process: asyncio.subprocess.Process

    async def connect(self) -> Client:
        streams = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
        return Client(*streams)

    def reload(self) -> None:
        """As `systemctl reload haproxy` does."""
        self.process.send_signal(signal.SIGUSR2)


def config(folder: Path, port: int, gateway_port: int, gateways: TlsFiles | None) -> str:
    """The rendered config with the places of this test."""
    tls = gateways and {"certificate": str(gateways.certificate), "key": str(gateways.key)}
    gateway = {"host": "0.0.0.0", "port": gateway_port, "tls": tls}  # noqa: S104
    models = {"tiny": {"source": "org/tiny", "max_model_len": 9}}
    nodes = [{"name": f"node-{n}", "address": address} for n, address in enumerate(NODES)]
    text = render_front_door(
        Fleet.model_validate({"gateway": gateway, "models": models}),
        Inventory.model_validate({"name": "two", "nodes": nodes}),
    )
    places = {
        ":::443 v4v6": f"127.0.0.1:{port}",
        CERTIFICATE: str(folder / "flotilla.pem"),
        GATEWAY_CA: str(folder / "gateways.pem"),
        "/run/haproxy/": f"{folder}/",
        # What root may raise its file limit to is not for a test.
        "maxconn 20000": "maxconn 400",
    }
    for place, instead in places.items():
        text = text.replace(place, instead)
    return "\n".join(line for line in text.splitlines() if not line.startswith(_ROOT_ONLY)) + "\n"


def prepare(folder: Path, gateways: TlsFiles | None) -> TlsFiles:
    """Writes what the config names; returns the pair of the public side."""
    files = certificates.make_pair(folder / "tls")
    certificate = files.certificate.read_bytes()
    (folder / "flotilla.pem").write_bytes(certificate + files.key.read_bytes())
    trusted = certificate if gateways is None else gateways.certificate.read_bytes()
    (folder / "gateways.pem").write_bytes(trusted)
    return files


@asynccontextmanager
async def front_door(
    folder: Path, port: int, gateway_port: int, gateways: TlsFiles | None = None
) -> AsyncIterator[FrontDoor]:
    files = prepare(folder, gateways)
    path = folder / "haproxy.cfg"
    path.write_text(config(folder, port, gateway_port, gateways))
    process = await asyncio.create_subprocess_exec(
        *(str(HAPROXY), "-W", "-f", str(path)), stderr=asyncio.subprocess.DEVNULL
    )
    door = FrontDoor(port, certificates.knowing(files), process)
    try:
        await _listening(door)
        yield door
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _listening(door: FrontDoor) -> None:
    async with asyncio.timeout(10):
        while door.process.returncode is None:
            try:
                client = await door.connect()
            except ConnectionError:
                await asyncio.sleep(0.02)
            else:
                client.reset()
                return
    raise RuntimeError("haproxy did not start")
