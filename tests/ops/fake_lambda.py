"""Lambda's Cloud API as far as Flotilla uses it, on a real port of this machine."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "secret_key_1"


def instance(number: int, **changed: Any) -> dict[str, Any]:
    """A node of a cluster, as the API shows it."""
    return {
        "id": f"0920582c7ff041399e34823a0be6254{number}",
        "name": f"node-{number}",
        "hostname": f"172-26-0-1{number}",
        "ip": f"198.51.100.{number}",
        "private_ip": f"172.26.0.1{number}",
        "status": "active",
        "region": {"name": "us-east-2", "description": "Washington DC, USA"},
        "file_system_mounts": [{"mount_point": "/lambda/nfs/models", "file_system_id": "f1"}],
        "instance_type": {
            "name": "gpu_8x_h100_sxm5",
            "description": "8x H100 (80 GB SXM5)",
            "gpu_description": "H100 (80 GB SXM5)",
            "specs": {"vcpus": 208, "memory_gib": 1800, "storage_gib": 24780, "gpus": 8},
        },
        "tags": [],
        **changed,
    }


class FakeLambda:
    """Set the fields before it is asked."""

    def __init__(self) -> None:
        self.clusters: dict[str, list[Any]] = {"c1": [instance(1), instance(2)]}
        #: Status, type and body of the next answers, before ordinary ones.
        self.answers: list[tuple[int, str, bytes]] = []
        self.delay_s = 0.0
        #: When each request came.
        self.asked: list[float] = []
        self.url = ""

    def refuse(self, status: int, code: str) -> None:
        """Answers the next request with this code."""
        error = {"code": code, "message": "words", "suggestion": "more words"}
        self.answers.append((status, "application/json", json.dumps({"error": error}).encode()))

    def answer(self, target: str, authorization: str) -> tuple[int, str, bytes]:
        self.asked.append(time.monotonic())
        time.sleep(self.delay_s)
        if not self.answers and authorization != f"Bearer {KEY}":
            self.refuse(401, "global/invalid-api-key")
        if self.answers:
            return self.answers.pop(0)
        url = urlsplit(target)
        if url.path != "/api/v1/instances":
            return 404, "text/html", b"<html>no such page</html>"
        (cluster_id,) = parse_qs(url.query)["cluster_id"]
        data = {"data": self.clusters.get(cluster_id, [])}
        return 200, "application/json", json.dumps(data).encode()

    @contextmanager
    def running(self) -> Iterator["FakeLambda"]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = fake.answer(self.path, self.headers["Authorization"])
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *said: Any) -> None:
                """Says nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.handle_error = lambda *_: None  # type: ignore[method-assign]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}/api/v1"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
