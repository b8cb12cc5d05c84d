"""Planted words turn up nowhere on a real fleet but where they belong: not in a log, a command
line, an environment, Ray's records, a table, a page, a figure or an error.

No process of a fleet has a secret in its environment: what it finds there is the path of a file.
"""

import contextlib
import json
import os
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from cluster.processes import session_members
from serving.keys import parse
from serving.metrics.token import requests_token
from tests.live.fleet_under_test import HUB_TOKEN, LiveFleet
from tests.live.shown import dashboard_pages, metrics_pages

#: Whoever comes first waits for the fleet.
pytestmark = pytest.mark.timeout(900)

PROMPT = "canary-4711-of-a-prompt"
#: In the home of whoever runs the fleet, and readable for nobody else.
OWN_FILES = ("client_key", "dashboard_key", "internal_token", "prometheus/token", "ray_token")
#: Where it must have been looked, by the beginning of a name and what is there to be seen.
SEEN = (
    ("/", b"demo.0"),
    ("/acts/create-key", b"Make it"),
    ("/acts/drain?", b"Drain it"),
    ("/fleet", b"demo-2k"),
    ("/live?", b"event: news"),
    ("/log?", b"demo.0"),
    ("/playground", b"demo"),
    ("/requests", b"complete"),
    ("/sign-in", b"password"),
    ("metrics of controller", b"flotilla_"),
    ("metrics of gateway", b"flotilla_"),
    ("metrics of ray", b"ray_"),
    ("metrics of replica", b"vllm:"),
    ("environment of", b"RAY_AUTH_TOKEN_PATH="),
)
RAYS_RECORDS = (
    "/api/serve/applications/",
    "/api/jobs/",
    "/api/v0/actors?detail=true&limit=10000",
    "/api/v0/tasks?detail=true&limit=10000",
    "/api/v0/workers?detail=true&limit=10000",
    "/nodes?view=summary",
)
TABLES = (
    ("status", "--json"),
    ("logs", "flotilla"),
    ("logs", "demo.0"),
    ("keys", "list", "--json"),
    ("audit", "--json"),
    ("usage", "--json"),
)


def test_what_is_secret_is_nowhere_but_in_its_own_file(fleet: LiveFleet) -> None:
    fleet.replica("demo.0")
    secrets = planted(fleet)
    errors = [*refusals(fleet)]
    assert len(errors) == 4
    for name in OWN_FILES:
        assert stat.S_IMODE((fleet.home / name).stat().st_mode) == 0o600
    looked, found, unseen = 0, [], set(SEEN)
    for place, text in places(fleet, errors):
        looked += 1
        found += [(place, name) for name, word in secrets.items() if word.encode() in text]
        unseen -= {(name, seen) for name, seen in unseen if place.startswith(name) and seen in text}
    assert found == []
    assert unseen == set()
    assert looked > 100


def planted(fleet: LiveFleet) -> dict[str, str]:
    """What nobody may come to see, by name."""
    secrets = {name: (fleet.home / name).read_text().strip() for name in OWN_FILES}
    key = parse(secrets["client_key"])
    assert key is not None
    secrets["client_key"] = key.secret  # its id is public
    secrets["requests token"] = requests_token(secrets["internal_token"])
    return {**secrets, "hub token": HUB_TOKEN, "prompt": PROMPT}


def refusals(fleet: LiveFleet) -> Iterator[bytes]:
    """What a client is told, after an answer to the same prompt."""
    given = {"model": "demo", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 4}
    with fleet.client() as client:
        client.chat.completions.create(**given)  # type: ignore[call-overload]
        for wrong in ({"model": "nobody"}, {"temperature": 9}, {"max_tokens": 100_000}):
            with pytest.raises(openai.APIStatusError) as refused:
                client.chat.completions.create(**{**given, **wrong})  # type: ignore[call-overload]
            yield refused.value.response.content + repr(refused.value.response.headers).encode()
    request = urllib.request.Request(f"{fleet.base_url}/models")
    request.add_header("Authorization", f"Bearer {fleet.key}x")
    with pytest.raises(urllib.error.HTTPError) as denied:
        urllib.request.urlopen(request, timeout=10)
    with denied.value as error:
        yield error.read() + str(error.headers).encode()


def places(fleet: LiveFleet, errors: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """Everything that somebody else may come to see, by name."""
    yield from (("error", error) for error in errors)
    yield from command_lines()
    yield from environments(fleet)
    yield from dashboard_pages(fleet)
    yield from metrics_pages(fleet)
    for path in RAYS_RECORDS:
        yield path, json.dumps(fleet.dashboard(path)).encode()
    for words in TABLES:
        yield " ".join(words), fleet.run(*words).stdout.encode()
    yield from files(fleet.home)


def command_lines() -> Iterator[tuple[str, bytes]]:
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid():
            yield from _said(process, "cmdline", "command line")


def environments(fleet: LiveFleet) -> Iterator[tuple[str, bytes]]:
    """Of every process of the fleet, as it was started."""
    session = json.loads((fleet.home / "cluster.json").read_text())["session"]
    members = session_members(session)
    assert fleet.replica("demo.0")["pid"] in members
    for pid in members:
        yield from _said(Path(f"/proc/{pid}"), "environ", "environment")


def _said(process: Path, file: str, what: str) -> Iterator[tuple[str, bytes]]:
    """Nothing where the process has ended."""
    with contextlib.suppress(OSError):
        yield f"{what} of {process.name}", (process / file).read_bytes()


def files(home: Path) -> Iterator[tuple[str, bytes]]:
    """Logs of Ray and of ours, the ledger, spools, what was deployed, all of it."""
    for path in sorted(home.rglob("*")):
        if (
            path.is_file()
            and not path.is_symlink()
            and path.relative_to(home).as_posix() not in OWN_FILES
        ):
            yield str(path), path.read_bytes()
