"""The systemd unit that keeps Ray on one machine of an inventory. Pure: values in, text out.

Rules
1. It tries for ever: a worker may be up before its head, a head may find its disk late, and Ray
   gives up on a slow machine after half a minute.
2. It ends through `flotilla ray stop`, which lets Ray drain the node and waits for what Ray has
   started; only what is left after that is killed.
3. What stands in it was checked before it is written: systemd has characters of its own.
"""

from dataclasses import dataclass

UNIT_NAME = "flotilla-node.service"
#: Ray's own drain takes half a minute, and a gang that was killed is tidied within 20 s.
STOP_DEADLINE_S = 120
RESTART_AFTER_S = 5
#: Connections of clients and between all processes of a large cluster.
MAX_OPEN_FILES = 65536
#: Characters that systemd reads differently from line to line.
SPECIAL = '\\"$'


@dataclass(frozen=True, slots=True)
class NodeService:
    """What differs from machine to machine; all paths are absolute."""

    user: str
    #: Where the tree with its `.venv` is.
    install: str
    #: Flotilla's own directory.
    home: str
    inventory: str
    #: File systems that must be there before a replica may start: of weights, of the home.
    mounts: tuple[str, ...] = ()


def unit_text(service: NodeService) -> str:
    """The unit file. Raises ValueError where a path cannot stand in one."""
    flotilla = _quoted(f"{service.install}/.venv/bin/flotilla")
    inventory = _quoted(service.inventory)
    mounts = " ".join(_quoted(path) for path in (service.install, service.home, *service.mounts))
    return f"""\
[Unit]
Description=Flotilla: Ray on this node
Wants=network-online.target
After=network-online.target
RequiresMountsFor={mounts}
StartLimitIntervalSec=0

[Service]
User={service.user}
Environment={_quoted(f"FLOTILLA_HOME={service.home}")}
ExecStart={flotilla} ray start {inventory} --block
ExecStop={flotilla} ray stop {inventory}
# Ray ends with 1 when it is asked to, and also when a part of it has died.
SuccessExitStatus=1
Restart=always
RestartSec={RESTART_AFTER_S}
# Engines and what tidies up after them are in the same group as Ray.
KillMode=control-group
TimeoutStopSec={STOP_DEADLINE_S}
LimitNOFILE={MAX_OPEN_FILES}
LimitMEMLOCK=infinity

[Install]
WantedBy=multi-user.target
"""


def _quoted(text: str) -> str:
    """One word for systemd. `%` has a way to be said everywhere; what has not is refused."""
    if not text.isprintable() or any(special in text for special in SPECIAL):
        raise ValueError(f"{text!r} cannot stand in a systemd unit: rename it")
    return '"' + text.replace("%", "%%") + '"'
