"""The gateway without Ray: one model, its replicas, one key. For benchmarks and fault tests.

python -m serving.gateway.standalone --port 8000 --upstream http://127.0.0.1:9001 --model tiny
--key-file F --spool DIR
"""

import argparse
import asyncio
import logging
import signal
import sys
import time
from math import inf
from pathlib import Path

import uvloop

from serving import keys
from serving.bounds import Deadlines
from serving.gateway import collector, heap
from serving.gateway.certificate import Certificate, TlsFiles
from serving.gateway.core import GatewayCore
from serving.gateway.server import Server, listen
from serving.limits.lease import WHOLE
from serving.snapshot import KeyRecord, Phase, ReplicaReport, Snapshot
from serving.spool import Spool

GRACE_S = 30.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--upstream",
        action="append",
        required=True,
        metavar="URL",
        help="http://host:port of a replica; once for each",
    )
    parser.add_argument(
        "--replica-id", help="what the one replica must call itself; unchecked if left out"
    )
    parser.add_argument("--model", required=True, help="the public name and the replica's own")
    parser.add_argument("--key-file", type=Path, required=True, help="holds the one key")
    parser.add_argument("--token-file", type=Path, help="the replica's bearer token")
    parser.add_argument("--tls-certificate", type=Path, help="PEM; then it speaks TLS only")
    parser.add_argument("--tls-key", type=Path, help="of the certificate")
    parser.add_argument("--spool", type=Path, required=True, help="folder for usage records")
    parser.add_argument("--window", type=int, default=131_072, help="tokens")
    parser.add_argument(
        "--most-running", type=int, default=0, help="requests a replica runs at once; 0: no limit"
    )
    parser.add_argument("--grace", type=float, default=GRACE_S, help="seconds to finish on SIGTERM")
    arguments = parser.parse_args()
    if (arguments.tls_certificate is None) is not (arguments.tls_key is None):
        parser.error("--tls-certificate and --tls-key go together")
    if arguments.replica_id is not None and len(arguments.upstream) > 1:
        parser.error("--replica-id names one replica: give one --upstream with it")
    return arguments


def _certificate(arguments: argparse.Namespace) -> Certificate | None:
    if arguments.tls_certificate is None:
        return None
    return Certificate(TlsFiles(arguments.tls_certificate, arguments.tls_key))


def _snapshot(arguments: argparse.Namespace) -> Snapshot:
    key = keys.parse(arguments.key_file.read_text().strip())
    if key is None:
        sys.exit(f"{arguments.key_file} does not hold a key")
    reports = tuple(_report(arguments, number) for number in range(len(arguments.upstream)))
    token = arguments.token_file.read_text().strip() if arguments.token_file else "standalone"
    record = KeyRecord(key.id, "standalone", keys.digest(key.secret), int(time.time()))
    return Snapshot(1, (record,), reports, token)


def _report(arguments: argparse.Namespace, number: int) -> ReplicaReport:
    return ReplicaReport(
        replica_id=arguments.replica_id or f"standalone.{number}",
        application=f"{arguments.model}.{number}",
        replica_set=arguments.model,
        node="",
        stages=(),
        address=arguments.upstream[number].removeprefix("http://").rstrip("/"),
        served_name=arguments.model,
        phase=Phase.READY,
        window_tokens=arguments.window,
        most_running=arguments.most_running,
    )


async def _main(arguments: argparse.Namespace) -> None:
    heap.keep_little()
    spool = Spool(arguments.spool, "standalone")
    core = GatewayCore(
        spool,
        # There is no Controller to hear from, and no front door that would look elsewhere.
        Deadlines(keys_s=inf, notice_s=0.0, blame_s=0.0),
        demands_replica_header=arguments.replica_id is not None,
    )
    model = {
        "name": arguments.model,
        "replica_set": arguments.model,
        "window_tokens": arguments.window,
        "created": int(time.time()),
    }
    core.apply_user_config({"models": [model]})
    core.apply_snapshot(_snapshot(arguments))
    core.gate.take(WHOLE, inf)
    server = Server(core, _certificate(arguments))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        core.loop.add_signal_handler(number, stop.set)
    await server.start(listen(arguments.host, arguments.port))
    collector.calm()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    await server.drain(arguments.grace)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvloop.run(_main(_arguments()))
