"""Ray Serve as a gateway: one deployment whose ASGI app forwards to the upstream with aiohttp.

Run by the rig in a process of its own: `python -m ops.bench.rivals.serve_ingress --help`. It brings
up a small private Ray on loopback and takes it down on SIGTERM.
"""

import argparse
import signal
from pathlib import Path
from types import FrameType

import aiohttp
import ray
from ray import serve
from starlette.types import Receive, Scope, Send

_LOOPBACK = "127.0.0.1"
#: Ray turns 127.0.0.1 into the machine's outward address; another loopback address it leaves alone.
_NODE = "127.0.0.7"
_STORE_BYTES = 100 * 1024 * 1024
#: Above the largest number of connections, so that Serve queues nothing on its own account.
_MAX_ONGOING = 1_000


class Forward:
    """The whole gateway: the same bytes to the upstream, its bytes back as they come."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(connector=connector)
        request = self._session.request(
            scope["method"],
            self._upstream + scope["path"],
            data=body,
            headers={"content-type": "application/json"},
        )
        async with request as reply:
            await _relay(reply, send)


async def _relay(reply: aiohttp.ClientResponse, send: Send) -> None:
    kept = ("content-type", "content-length")
    headers = [
        (name.lower().encode(), value.encode())
        for name, value in reply.headers.items()
        if name.lower() in kept
    ]
    start = {"type": "http.response.start", "status": reply.status, "headers": headers}
    if reply.content_length is not None:
        # Head and body in one turn of the loop, and so in one packet.
        body = await reply.read()
        await send(start)
        await send({"type": "http.response.body", "body": body})
        return
    await send(start)
    async for piece in reply.content.iter_any():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _stop(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    ray.init(
        # Never the Ray that may be running here already.
        address="local",
        num_cpus=4,
        include_dashboard=False,
        # A deployed cluster has no driver that every log line is copied to.
        log_to_driver=False,
        object_store_memory=_STORE_BYTES,
        _temp_dir=str(options.scratch),
        _node_ip_address=_NODE,
    )
    try:
        serve.start(http_options={"host": _LOOPBACK, "port": options.port})
        app = serve.ingress(Forward(options.upstream))(type("Gateway", (), {}))
        deployment = serve.deployment(app, name="Gateway", max_ongoing_requests=_MAX_ONGOING)
        serve.run(deployment.bind(), name="bench", route_prefix="/")
        signal.pause()
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
