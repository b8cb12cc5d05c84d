"""What is secret on a real fleet stands nowhere but in the files that hold it: not in a log, a
command line, what Ray tells of actors and applications, a page, a figure or a status.
"""

import json
import os
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.live.fleet_under_test import HUB_TOKEN, LiveFleet

pytestmark = pytest.mark.timeout(900)

#: Each holds one secret of the fleet.
KEPT = ("internal_token", "ray_token", "client_key", "dashboard_key", "prometheus/token")
PROMPT = "canary-5823-of-a-prompt"
PAGES = ("", "requests", "playground", "sign-in")
KINDS = ("actors", "tasks", "workers", "nodes", "jobs", "runtime_envs")


def secrets(fleet: LiveFleet) -> dict[str, str]:
    """What to look for, by its name. Of a key only the secret part is one."""
    kept = {name: (fleet.home / name).read_text().strip() for name in KEPT}
    kept["client_key"] = kept["client_key"].split("-", 2)[2]
    return {**kept, "a prompt": PROMPT, "HF_TOKEN": HUB_TOKEN}


def found(where: str, text: str, planted: Mapping[str, str]) -> list[str]:
    return [f"{name} in {where}" for name, word in planted.items() if word in text]


def files(fleet: LiveFleet) -> Iterator[Path]:
    """All that the fleet and Ray have written, the ledger too. Folders come and go meanwhile, which
    `rglob` would stumble over.
    """
    holders = {fleet.home / name for name in KEPT}
    for folder, _, names in os.walk(fleet.home):
        paths = {Path(folder, name) for name in names} - holders
        yield from (path for path in paths if path.is_file() and not path.is_symlink())


def text_of(path: Path) -> str:
    """A file may go while it is looked for."""
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def command_lines() -> str:
    entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return "\n".join(text_of(entry / "cmdline") for entry in entries)


def got(url: str, token: str = "") -> str:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as reply:
        return str(reply.read().decode())


def told(fleet: LiveFleet) -> dict[str, str]:
    """What each part of the fleet says of itself."""
    page = f"http://127.0.0.1:{fleet.port + 1}/"
    token = (fleet.home / "prometheus" / "token").read_text()
    groups = json.loads((fleet.home / "prometheus" / "targets.json").read_text())
    parts = [target for group in groups for target in group["targets"]]
    return {
        **{f"page /{path}": got(page + path) for path in PAGES},
        **{f"metrics of {part}": got(f"http://{part}/metrics", token) for part in parts},
        **{f"Ray's {kind}": json.dumps(fleet.ray_state(kind)) for kind in KINDS},
        "Serve's applications": json.dumps(fleet.dashboard("/api/serve/applications/")),
        "the status": json.dumps(fleet.status()),
    }


def test_no_secret_of_a_fleet_stands_anywhere_but_in_its_own_file(fleet: LiveFleet) -> None:
    fleet.replica("demo.0")
    fleet.says("demo", PROMPT)
    planted = secrets(fleet)
    assert all(len(word) > 15 for word in planted.values())
    seen = told(fleet)
    assert any(part.startswith("metrics of ") for part in seen)
    leaks = [leak for where, text in seen.items() for leak in found(where, text, planted)]
    leaks += found("a command line", command_lines(), planted)
    read = {path: text_of(path) for path in files(fleet)}
    assert any("demo" in text and path.suffix == ".log" for path, text in read.items())
    leaks += [leak for path, text in read.items() for leak in found(str(path), text, planted)]
    assert leaks == []


@pytest.mark.parametrize("name", KEPT)
def test_who_else_is_on_the_machine_cannot_read_what_holds_a_secret(
    fleet: LiveFleet, name: str
) -> None:
    assert os.stat(fleet.home / name).st_mode & 0o077 == 0
