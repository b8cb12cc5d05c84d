"""What the rig must know of a gateway to run it beside the others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Site:
    """The place a rival is given for one run."""

    python: Path
    port: int
    #: Where the engines are; most rigs have one.
    upstream_urls: tuple[str, ...]
    model: str
    key: str
    scratch: Path
    #: Free ports for whatever else it insists on opening.
    spare_ports: tuple[int, int, int]

    @property
    def upstream_url(self) -> str:
        (url,) = self.upstream_urls
        return url

    def command(self, name: str) -> str:
        """The path of a command that was installed beside the interpreter."""
        return str(self.python.with_name(name))


@dataclass(frozen=True)
class Launch:
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rival:
    """A gateway: how it is installed, started and counted."""

    name: str
    #: One line for the results: how it is set up.
    setup: str
    #: None for the upstream itself, which is always there.
    launch: Callable[[Site], Launch] | None
    #: Installed into an environment of its own; none means the project's environment.
    packages: tuple[str, ...] = ()
    #: Whose versions are quoted.
    distributions: tuple[str, ...] = ()
    #: Only processes with one of these in their command count as the gateway; none means all.
    counted: tuple[str, ...] = ()
    #: The folder of its environment, where several share one; else its name.
    home: str = ""
