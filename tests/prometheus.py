"""A real Prometheus on this machine, with the configuration that we ship, only quicker."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OPS = Path(__file__).parents[1] / "ops"
SHIPPED = OPS / "prometheus"
DASHBOARD = OPS / "grafana" / "flotilla.json"
#: What Grafana puts there by itself, or by what is chosen on the page.
VARIABLES = {"$__rate_interval": "1m", "$model": ".*"}
READY_S = 60.0
DATA_S = 60.0


def shipped(folder: Path, interval: str) -> Path:
    """The configuration in a folder with targets and token, as README.md says, with a shorter
    interval, within which a target has to answer.
    """
    for path in SHIPPED.glob("*.yml"):
        shutil.copy(path, folder)
    config = folder / "prometheus.yml"
    config.write_text(re.sub(r"(interval): 15s", rf"\1: {interval}", config.read_text()))
    return config


def dashboard_queries() -> list[str]:
    """Every query of the dashboard, as Prometheus is asked."""
    found = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        found += [target["expr"] for target in panel.get("targets", ())]
    return [_filled(query) for query in found]


def recorded_names() -> list[str]:
    return re.findall(r"record: (\S+)", (SHIPPED / "recording.yml").read_text())


def _filled(query: str) -> str:
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    assert "$" not in query
    return query


class Prometheus:
    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self._url}{path}?{query}", timeout=10) as reply:
            return json.loads(reply.read())["data"]

    def values(self, query: str) -> list[float]:
        """Of every series that it has now, those that are numbers."""
        found = self.ask("/api/v1/query", query=query)["result"]
        values = [float(each["value"][1]) for each in found]
        return [value for value in values if value == value]

    def wait_ready(self) -> None:
        self._wait(lambda: self.ask("/api/v1/status/runtimeinfo") is not None, READY_S)

    def without_data(self, queries: list[str]) -> list[str]:
        """Those that have none, after a while in which they should."""
        left = list(queries)

        def look() -> bool:
            left[:] = [query for query in left if not self.values(query)]
            return not left

        self._wait(look, DATA_S)
        return left

    def targets(self) -> list[dict[str, Any]]:
        return list(self.ask("/api/v1/targets")["activeTargets"])

    def _wait(self, look: Any, limit_s: float) -> None:
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            try:
                if look():
                    return
            except (urllib.error.URLError, ConnectionError):
                pass
            time.sleep(0.2)


@contextmanager
def prometheus(folder: Path, interval: str = "500ms") -> Iterator[Prometheus]:
    """One that scrapes what `targets.json` of the folder lists."""
    config = shipped(folder, interval)
    port = _free_port()
    log = (folder / "prometheus.log").open("w")
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=log,
        stderr=log,
    )
    try:
        running = Prometheus(port)
        running.wait_ready()
        yield running
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
