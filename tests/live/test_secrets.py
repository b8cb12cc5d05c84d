"""Planted words turn up nowhere on a real fleet but where they belong: not in a log, a command
line, Ray's records, a table or an error.
"""

import json
import os
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.live.fleet_under_test import HUB_TOKEN, LiveFleet

#: Whoever comes first waits for the fleet.
pytestmark = pytest.mark.timeout(900)

PROMPT = "canary-4711-of-a-prompt"
#: In the home of whoever runs the fleet, and readable for nobody else.
OWN_FILES = ("client_key", "dashboard_key", "internal_token", "ray_token")
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
    secrets = {name: (fleet.home / name).read_text().strip() for name in OWN_FILES}
    secrets |= {"hub token": HUB_TOKEN, "prompt": PROMPT}
    errors = [*refusals(fleet)]
    assert len(errors) == 4
    for name in OWN_FILES:
        assert stat.S_IMODE((fleet.home / name).stat().st_mode) == 0o600
    looked, found = 0, []
    for place, text in places(fleet, errors):
        looked += 1
        found += [(place, name) for name, word in secrets.items() if word.encode() in text]
    assert found == []
    assert looked > 100


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
    for path in RAYS_RECORDS:
        yield path, json.dumps(fleet.dashboard(path)).encode()
    for words in TABLES:
        yield " ".join(words), fleet.run(*words).stdout.encode()
    yield from files(fleet.home)


def command_lines() -> Iterator[tuple[str, bytes]]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if int(process.name) != os.getpid():
            yield f"command line of {process.name}", words


def files(home: Path) -> Iterator[tuple[str, bytes]]:
    """Logs of Ray and of ours, the ledger, spools, what was deployed, all of it."""
    for path in sorted(home.rglob("*")):
        if (
            path.is_file()
            and not path.is_symlink()
            and path.relative_to(home).as_posix() not in OWN_FILES
        ):
            yield str(path), path.read_bytes()
