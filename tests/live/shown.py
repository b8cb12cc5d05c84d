"""What a real fleet shows over HTTP to whoever may look: the dashboard's pages and all metrics."""

import json
import re
import urllib.request
from collections.abc import Iterator
from html import unescape
from http.client import HTTPResponse
from urllib.parse import urlencode

from ops.dashboard.guard import SIGN_IN
from ops.dashboard.html.fleet import PROGRESS_PATH
from tests.live.fleet_under_test import LiveFleet

#: To a page, a dialog, a fragment, a file of ours or the stream of what is new.
LINK = re.compile(r'\b(?:href|src|action|data-dialog|hx-get|sse-connect)="(/[^"#]*)')
#: No link leads to these at every time.
UNLINKED = (SIGN_IN, PROGRESS_PATH)
#: Where Ray says who offers figures of its own.
RAYS_TARGETS = "ray/prom_metrics_service_discovery.json"
LIMIT_S = 60.0


def dashboard_pages(fleet: LiveFleet) -> Iterator[tuple[str, bytes]]:
    """By path, all that an operator comes to who has signed in and follows every link."""
    base = f"http://127.0.0.1:{fleet.port + 1}"
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    who = {"name": "ada", "key": (fleet.home / "dashboard_key").read_text()}
    browser.open(f"{base}{SIGN_IN}", urlencode(who).encode(), LIMIT_S).close()
    waiting, known = ["/", *UNLINKED], set[str]()
    while waiting:
        path = waiting.pop()
        known.add(path)
        with browser.open(base + path, timeout=LIMIT_S) as reply:
            text = _read(reply)
        yield path, text
        found = {unescape(link) for link in LINK.findall(text.decode())}
        waiting += found - known - set(waiting)


def _read(reply: HTTPResponse) -> bytes:
    """All of it, of what never ends the first event; its headers before it."""
    headers = str(reply.headers).encode()
    if reply.headers.get_content_type() != "text/event-stream":
        return headers + reply.read()
    lines = [headers]
    while lines[-1] != b"\n":
        lines.append(reply.readline())
    return b"".join(lines)


def metrics_pages(fleet: LiveFleet) -> Iterator[tuple[str, bytes]]:
    """By part and address: gateways, Controller, replicas, and what Ray offers itself."""
    folder = fleet.home / "prometheus"
    ours = {"Authorization": f"Bearer {(folder / 'token').read_text()}"}
    for group in json.loads((folder / "targets.json").read_text()):
        yield from _scraped(group["labels"]["part"], group["targets"], ours)
    for group in json.loads((fleet.home / RAYS_TARGETS).read_text()):
        yield from _scraped("ray", group["targets"], {})


def _scraped(
    part: str, addresses: list[str], headers: dict[str, str]
) -> Iterator[tuple[str, bytes]]:
    for address in addresses:
        request = urllib.request.Request(f"http://{address}/metrics", headers=headers)
        with urllib.request.urlopen(request, timeout=LIMIT_S) as reply:
            yield f"metrics of {part} {address}", _read(reply)
