"""What stands on each machine before Ray starts there: Flotilla's tree and install, the inventory,
and the cluster's token. `ray up` does the same; this is the same for all machines at once, and says
what went wrong where.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from cluster.errors import InstallFailed
from cluster.ray_start import STATE
from cluster.ray_up import (
    FLOTILLA,
    HOME,
    INSTALL,
    INSTALL_COMMAND,
    INVENTORY_FILE,
    LINK_COMMAND,
    NOT_COPIED,
    PARTS,
    TOKEN_FILE,
    Sources,
)
from cluster.remote import Outcome, Remote
from cluster.unit import UNIT_NAME

LOOK_DEADLINE_S = 30
COPY_DEADLINE_S = 120
#: The GPU build of vLLM and what it needs are ten gigabytes.
INSTALL_DEADLINE_S = 1800
START_DEADLINE_S = 420
#: Serve gives its applications half a minute.
DRAIN_DEADLINE_S = 120
RAY_UP_FILES = "/tmp/ray/cluster-*.state /tmp/ray/cluster-*.lock ~/ray_bootstrap_*"  # noqa: S108
#: A service that is left enabled would start Ray again, after five seconds or at the next boot.
DISABLE_COMMAND = (
    f"! systemctl is-enabled --quiet {UNIT_NAME} 2>/dev/null"
    f" || sudo -n systemctl disable --now {UNIT_NAME}"
)
STOP_COMMAND = (
    f"{{ {DISABLE_COMMAND}; }} && {{ [ ! -x {FLOTILLA} ]"
    f" || {FLOTILLA} ray stop {INVENTORY_FILE}; }}"
)
MAKE_FOLDERS = f"mkdir -p {INSTALL} && mkdir -p -m 700 {HOME}"
FULL = "free some space in the home of the user there"


async def copy(remote: Remote, sources: Sources) -> None:
    """Brings the tree, the inventory and the token. Raises NodeFailed."""
    _require(remote, await remote.run(MAKE_FOLDERS, timeout_s=LOOK_DEADLINE_S), "")
    tree = [Path(sources.tree) / part for part in PARTS]
    left_out = [f"--exclude={name}" for name in NOT_COPIED]
    await _copied(remote, tree, f"{INSTALL}/", left_out)
    await _copied(remote, [Path(sources.inventory)], INVENTORY_FILE, [])
    await _copied(remote, [Path(sources.token)], TOKEN_FILE, ["--chmod=F600"])


async def install(remote: Remote, python: str = "") -> None:
    """Makes the install with this Python; one that is there is left as it is. Raises NodeFailed."""
    chosen = f"PYTHON={shlex.quote(python)} " if python else ""
    command = f"{chosen}{INSTALL_COMMAND} && {LINK_COMMAND}"
    outcome = await remote.run(command, timeout_s=INSTALL_DEADLINE_S)
    _require(remote, outcome, f"run `{INSTALL_COMMAND}` there by hand to see all of it")


async def start(remote: Remote, *, restart: bool = False) -> None:
    """Starts Ray by our own login. Raises NodeFailed."""
    again = " --restart" if restart else ""
    command = f"{FLOTILLA} ray start {INVENTORY_FILE}{again}"
    outcome = await remote.run(command, timeout_s=START_DEADLINE_S)
    _require(remote, outcome, f"run `{command}` there by hand to see all of it")


async def stop(remote: Remote) -> bool:
    """Stops Ray, and the service that keeps it where there is one; False when none ran or nothing
    is installed. Raises NodeFailed.
    """
    outcome = await remote.run(STOP_COMMAND, timeout_s=START_DEADLINE_S)
    _require(remote, outcome, f"run `{FLOTILLA} ray stop {INVENTORY_FILE}` there by hand")
    return "Ray stopped" in outcome.stderr


async def drain(head: Remote) -> None:
    """Lets the replicas finish; what does not answer is stopped with Ray, and wardens clean up.
    Raises NodeUnreachable.
    """
    await head.run(f"[ ! -x {FLOTILLA} ] || {FLOTILLA} ray drain", timeout_s=DRAIN_DEADLINE_S)


async def forget(remote: Remote) -> None:
    """Removes what would bring the cluster back, and what `ray up` keeps on a machine; the key's
    copy above all. Raises NodeUnreachable.
    """
    state = f"{HOME}/nodes/{remote.name}/{STATE}"
    await remote.run(f"rm -rf {state} {RAY_UP_FILES}", timeout_s=LOOK_DEADLINE_S)


async def mark_fenced(remote: Remote) -> None:
    """Leaves word for the one who takes the cluster down. Raises NodeFailed."""
    outcome = await remote.run(f"touch {fence_mark(remote.name)}", timeout_s=LOOK_DEADLINE_S)
    _require(remote, outcome, "")


async def unmark_fenced(remote: Remote) -> bool:
    """Whether there was word. Raises NodeUnreachable."""
    outcome = await remote.run(f"rm {fence_mark(remote.name)}", timeout_s=LOOK_DEADLINE_S)
    return outcome.status == 0


def fence_mark(node: str) -> str:
    """By the node's name: homes may be on a file system that nodes share."""
    return f"{HOME}/fenced-{node}"


async def _copied(
    remote: Remote, sources: Sequence[Path], target: str, options: Sequence[str]
) -> None:
    # The other side's shell must see `~` bare; rsync would quote it.
    outcome = await remote.copy_in(
        sources, target.removeprefix("~/"), timeout_s=COPY_DEADLINE_S, options=options
    )
    _require(remote, outcome, "is rsync installed there?")


def _require(remote: Remote, outcome: Outcome, fix: str) -> None:
    if outcome.status == 0:
        return
    full = "no space left" in outcome.stderr.lower()
    raise InstallFailed(remote.name, outcome.cause(), FULL if full else fix)
