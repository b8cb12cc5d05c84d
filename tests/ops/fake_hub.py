"""Hugging Face's hub as far as its own client uses it, on real ports of this machine: the list of a
repository, small files from the hub itself, large ones from a file server that it sends on to.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

TOKEN = "hf_test"
COMMIT = "a" * 40
#: Beyond this a file is kept with Git LFS.
SMALL_BYTES = 100_000
DEMO = Path(__file__).parents[2] / "deployments" / "demo" / "model"


def demo_files() -> dict[str, bytes]:
    """A repository with what serving needs, and what it does not."""
    files = {path.name: path.read_bytes() for path in DEMO.iterdir()}
    weights = files["model.safetensors"]
    return {
        **files,
        "README.md": b"# a model",
        ".gitattributes": b"*.safetensors filter=lfs",
        "LICENSE": b"a licence",
        "pytorch_model.bin": weights[:200_000],
        "model.gguf": weights[:200_000],
        "consolidated.safetensors": weights,
        "original/consolidated.00.pth": weights,
    }


@dataclass(frozen=True)
class Cut:
    """The connection ends after so many bytes; a fault that is a number is a status."""

    after_bytes: int


class FakeHub:
    """Set the fields before it is asked."""

    def __init__(self, repositories: Mapping[str, Mapping[str, bytes]]) -> None:
        self.repositories = {name: dict(files) for name, files in repositories.items()}
        self.commit = COMMIT
        self.is_gated = False
        #: By file: what happens to the next answers, before ordinary ones.
        self.faults: dict[str, list[Cut | int]] = {}
        #: By file: what comes in place of its content.
        self.swapped: dict[str, bytes] = {}
        #: What the list says of sizes, instead of the truth.
        self.sizes: dict[str, int] = {}
        self.knows_ranges = True
        #: File server or hub, path, `Range`, `Authorization`.
        self.asked: list[tuple[str, str, str, str]] = []
        self.url = self.files_url = ""

    def listing(self, name: str) -> bytes:
        siblings = [self._sibling(file, body) for file, body in self.repositories[name].items()]
        return json.dumps({"id": name, "sha": self.commit, "siblings": siblings}).encode()

    def _sibling(self, file: str, body: bytes) -> dict[str, object]:
        size = self.sizes.get(file, len(body))
        git = hashlib.sha1(f"blob {len(body)}\0".encode() + body).hexdigest()  # noqa: S324
        sha256 = hashlib.sha256(body).hexdigest()
        lfs = {"size": size, "sha256": sha256, "pointerSize": 134}
        more = {"lfs": lfs} if len(body) > SMALL_BYTES else {}
        return {"rfilename": file, "size": size, "blobId": git, **more}

    def ranges(self, file: str) -> list[str]:
        """The `Range` of each download of a file's content."""
        return [
            wanted
            for server, path, wanted, _ in self.asked
            if path.endswith(f"/{file}") and (server == "files" or file not in self.large())
        ]

    def large(self) -> set[str]:
        return {
            file
            for files in self.repositories.values()
            for file, body in files.items()
            if len(body) > SMALL_BYTES
        }

    @contextmanager
    def running(self) -> Iterator["FakeHub"]:
        servers = [_server(self, "hub"), _server(self, "files")]
        self.url, self.files_url = (f"http://127.0.0.1:{s.server_port}" for s in servers)
        threads = [threading.Thread(target=s.serve_forever, args=(0.01,)) for s in servers]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            for server, thread in zip(servers, threads, strict=True):
                server.shutdown()
                thread.join()
                server.server_close()


def _server(fake: FakeHub, name: str) -> ThreadingHTTPServer:
    class Handler(_Handler):
        hub = fake
        server_name = name

    return _Server(("127.0.0.1", 0), Handler)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """A client that goes away is no error."""


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    server_name: str
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization", "")
        hub.asked.append((self.server_name, path, self.headers.get("Range", ""), token))
        if self.server_name == "files":
            repository, _, file = path.lstrip("/").partition("/resolve/")
            self._content(repository, file.partition("/")[2])
        elif token and token != f"Bearer {TOKEN}":
            words = {"X-Error-Message": "Invalid credentials in Authorization header"}
            self._answer(401, b"{}", words)
        elif path.startswith("/api/models/"):
            self._list(path.removeprefix("/api/models/").partition("/revision/"), token)
        else:
            self._resolve(path)

    def _list(self, asked: tuple[str, str, str], token: str) -> None:
        name, _, revision = asked
        if name not in self.hub.repositories:
            return self._answer(404 if token else 401, b"{}", {"X-Error-Code": "RepoNotFound"})
        if revision not in ("", self.hub.commit):
            return self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        return self._answer(200, self.hub.listing(name))

    def _resolve(self, path: str) -> None:
        repository, _, rest = path.lstrip("/").partition("/resolve/")
        file = rest.partition("/")[2]
        if self.hub.is_gated:
            return self._answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        if len(self.hub.repositories[repository][file]) > SMALL_BYTES:
            return self._answer(302, b"", {"Location": self.hub.files_url + path})
        return self._content(repository, file)

    def _content(self, repository: str, file: str) -> None:
        hub = self.hub
        faults = hub.faults.get(file)
        fault = faults.pop(0) if faults else None
        if isinstance(fault, int):
            return self._answer(fault, b"{}", {"Retry-After": "0"})
        body = hub.swapped.get(file, hub.repositories[repository][file])
        start = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-")
        at = int(start) if hub.knows_ranges else 0
        part = {"Content-Range": f"bytes {at}-{len(body) - 1}/{len(body)}"} if at else {}
        cut = fault.after_bytes if fault else None
        return self._answer(206 if at else 200, body[at:], part, cut)

    def _answer(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = cut is not None

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""
