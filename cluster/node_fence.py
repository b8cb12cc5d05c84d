"""The fence of one machine, over ssh: raised, read, lowered. Who is let in is decided in `fence`.

Rules
1. Before anything changes the machine is asked on which port sshd took this login, which stays
   open, and from which addresses it reaches the others; one that the others would not let in is
   refused.
2. Success means that the fence was read back, over a connection made after it stood.
3. Under systemd it is raised again at each boot, before the network is up; elsewhere it lasts until
   the machine restarts, and raising it again is all there is to do.
4. Raising and lowering may be repeated. To let a new node in, raise the new fence on the others
   before it joins; to shut out one that has left, afterwards.
"""

import re
import shlex

from cluster.errors import FenceFailed, NodeUnreachable
from cluster.fence import TABLE, Fence, StandingFence, read_fence
from cluster.remote import Outcome, Remote

STEP_DEADLINE_S = 30
MAX_CAUSE_CHARS = 300
UNIT = "/etc/systemd/system/flotilla-fence.service"
FILE = "/etc/flotilla/fence.nft"
#: After nftables.service, whose usual file begins with `flush ruleset`; like that one it does
#: without the default dependencies, which come later than the network.
UNIT_TEXT = f"""\
[Unit]
Description=Flotilla's fence: who may open connections to this machine
DefaultDependencies=no
After=nftables.service
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart=/usr/sbin/nft -f {FILE}

[Install]
WantedBy=sysinit.target
"""
#: One line, then a line for each route.
LOOK = 'echo "$SSH_CONNECTION" && ip -4 -oneline -batch -'
#: The client's address and port, then sshd's.
LOGIN = re.compile(r"\S+ \d+ \S+ (?P<port>\d{1,5})\n", re.ASCII)
#: Of the packets that take a route.
SOURCE = re.compile(r" src (\S+)")
#: The file is written first and named last: what does not load is not kept.
RAISE = f"""\
set -e
[ -d /run/systemd/system ] || exec nft -f -
umask 022
mkdir -p /etc/flotilla
trap 'rm -f {FILE}.new' EXIT
cat > {FILE}.new
nft -f {FILE}.new
mv {FILE}.new {FILE}
cat > {UNIT} <<'END'
{UNIT_TEXT}END
systemctl --quiet enable flotilla-fence.service
"""
READ = f"nft -j list table {TABLE}"
NO_TABLE = "Error: No such file or directory"
LOWER = f"""\
set -e
if [ -e {UNIT} ]; then
  systemctl --quiet disable flotilla-fence.service
  rm -f {UNIT} {FILE}
  rmdir --ignore-fail-on-non-empty /etc/flotilla
fi
nft list table {TABLE} >/dev/null 2>&1 || exit 0
nft delete table {TABLE}
echo lowered
"""
#: Patterns of what sudo, the shell and nft say, the cause, and what to do.
CAUSES = (
    ("password is required", "sudo asks for a password", "let the login use sudo without one"),
    ("not in the sudoers|not allowed to|may not run sudo", "sudo is refused", "let the login use "
     "sudo, or set `ssh.user`"),
    ("sudo: .*not found", "it has no sudo", "apt-get install sudo there"),
    ("nft: .*not found", "it has no nft", "apt-get install nftables there"),
    ("(protocol|operation) not supported", "its kernel has no nf_tables", "modprobe nf_tables "
     "there, or boot a kernel that has them"),
    ("operation not permitted", "nft is refused", "in a container it needs CAP_NET_ADMIN"),
    ("no space left", "its disk is full", "make room under /etc"),
)  # fmt: skip


async def raise_fence(remote: Remote, fence: Fence) -> Fence:
    """Raises the fence in place of any before; answers with the one that stands. Raises FenceFailed
    and NodeUnreachable.
    """
    own = fence.with_port(await _login_port(remote, fence))
    ruleset = own.ruleset().encode()
    raised = await remote.run(_as_root(RAISE), timeout_s=STEP_DEADLINE_S, stdin=ruleset)
    _check(remote, raised)
    try:
        standing = await standing_fence(remote)
    except NodeUnreachable as lost:
        cause = f"its fence is up, but then {lost.cause}"
        fix = f"on its console, `nft delete table {TABLE}` takes the fence away"
        raise FenceFailed(remote.name, cause, fix) from lost
    if standing is None or standing.fence != own:
        fix = "does another `flotilla up`, or a service that flushes nftables, run at once?"
        raise FenceFailed(remote.name, "another fence stands than was raised", fix)
    return own


async def standing_fence(remote: Remote) -> StandingFence | None:
    """The fence that stands there, and how much it refused; None without one. Raises FenceFailed
    and NodeUnreachable.
    """
    listed = await remote.run(_as_root(READ), timeout_s=STEP_DEADLINE_S)
    if listed.status and NO_TABLE in listed.stderr:
        return None
    _check(remote, listed)
    try:
        return read_fence(listed.stdout)
    except ValueError as other:
        raise FenceFailed(remote.name, str(other), "`flotilla down` removes it") from other


async def lower_fence(remote: Remote) -> bool:
    """Removes the fence; False when there was none. Raises FenceFailed and NodeUnreachable."""
    lowered = await remote.run(_as_root(LOWER), timeout_s=STEP_DEADLINE_S)
    _check(remote, lowered)
    return lowered.stdout.strip() == "lowered"


async def _login_port(remote: Remote, fence: Fence) -> int:
    """Rule 1. The inventory's port may be that of a router in between."""
    wanted = "".join(f"route get {address}\n" for address in sorted(fence.addresses))
    seen = await remote.run(LOOK, timeout_s=STEP_DEADLINE_S, stdin=wanted.encode())
    if seen.status:
        why = (seen.stderr.splitlines() or [seen.cause()])[0]
        cause = f"it has no route to all of the inventory: {why}"
        raise FenceFailed(remote.name, cause, "bring its network up, or take it out")
    for source in sorted(set(SOURCE.findall(seen.stdout)) - set(map(str, fence.addresses))):
        cause = f"it reaches the others from {source}, where the fence would not let it in"
        raise FenceFailed(remote.name, cause, "make that its `address` in the inventory")
    login = LOGIN.match(seen.stdout)
    if login is None:
        cause = "sshd does not say on which port it took the login"
        raise FenceFailed(remote.name, cause, "is SSH_CONNECTION kept from the login's shell?")
    return int(login["port"])


def _as_root(script: str) -> str:
    return f"sudo -n sh -c {shlex.quote(script)}"


def _check(remote: Remote, outcome: Outcome) -> None:
    if outcome.status == 0:
        return
    for pattern, cause, fix in CAUSES:
        if re.search(pattern, outcome.stderr, re.IGNORECASE):
            raise FenceFailed(remote.name, cause, fix)
    # nft points at the place with carets, on lines of their own.
    errors = [line for line in outcome.stderr.splitlines() if "Error:" in line]
    why = errors[0][:MAX_CAUSE_CHARS] if errors else outcome.cause()
    raise FenceFailed(remote.name, f"its fence did not come about: {why}", "")
