"""What a node says of itself. Pure: the answer of the probe, read and bounded.

A node is the outside: whatever comes from it either has exactly the shape that the probe gives it,
or is refused as a whole. Text that will be shown is made printable.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from cluster.strict import Strict

MARK = "flotilla-facts "
#: More than the probe's parts together may say.
MAX_CHARS = 1 << 20
MAX_LISTED = 500
#: How much of an answer that is none is shown.
SHOWN_CHARS = 80


def printable(text: str) -> str:
    """The text as a terminal may show it."""
    return "".join(char if char.isprintable() else "?" for char in text)


Text = Annotated[str, Field(max_length=400), AfterValidator(printable)]
Count = Annotated[int, Field(ge=0, lt=1 << 64)]
#: -1 is none.
Limit = Annotated[int, Field(ge=-1, lt=1 << 64)]
Port = Annotated[int, Field(ge=0, le=65535)]
Listed = Field(max_length=MAX_LISTED)


class Part(Strict):
    """A JSON object of the answer."""

    model_config = ConfigDict(allow_inf_nan=False)


class System(Part):
    """The machine, its user and the limits of the user's programs."""

    user: Text
    os: Text
    memory_bytes: Count
    available_bytes: Count
    shared_memory_free_bytes: Count
    home_free_bytes: Count
    files: Limit
    processes: Limit
    locked_bytes: Limit


class Python(Part):
    """An interpreter, by the command that finds it."""

    command: Text
    version: Text
    #: Whether it can make virtual environments.
    venv: bool


class Install(Part):
    """Flotilla's own environment."""

    python: Text
    #: Versions by distribution.
    packages: Annotated[Mapping[Text, Text], Field(max_length=20)]


class Card(Part):
    """A GPU."""

    name: Text
    memory_mib: Count


class GpuProcess(Part):
    """A program that has memory on a GPU."""

    pid: Count
    memory_mib: Count
    ours: bool


class Gpus(Part):
    """What the driver lists."""

    driver: Text
    #: The newest CUDA that the driver carries.
    cuda: Text
    cards: Annotated[tuple[Card, ...], Listed]
    processes: Annotated[tuple[GpuProcess, ...], Listed]


class Rail(Part):
    """An InfiniBand device."""

    name: Text
    active: bool
    gigabits_per_s: Annotated[float, Field(ge=0)]


class Folder(Part):
    """A folder and the file system that it is on; without `exists` the rest says nothing."""

    exists: bool
    writable: bool = False
    free_bytes: Count = 0
    kind: Text = ""
    source: Text = ""
    inode: Count = 0
    filesystem_id: Count = 0


class Link(Part):
    """A network interface."""

    name: Text
    mtu: Count
    addresses: Annotated[tuple[Text, ...], Listed]


class Network(Part):
    """How the node is connected."""

    interfaces: Annotated[tuple[Link, ...], Listed]
    #: The interface that leads to the head.
    to_head: Text | None
    has_address: bool
    #: First and last of the ports that the kernel gives to connections.
    given_ports: Annotated[tuple[Port, ...], Field(max_length=2)]

    def interface_with(self, address: str) -> Link | None:
        return next((link for link in self.interfaces if address in link.addresses), None)


class Listener(Part):
    """An open TCP port."""

    address: Text
    port: Port
    #: Unknown when it is another user's.
    program: Text
    #: Of a Ray that Flotilla started.
    ours: bool

    @property
    def is_open(self) -> bool:
        """Whether other machines reach it."""
        return not self.address.startswith(("127.", "::ffff:127.")) and self.address != "::1"

    def __str__(self) -> str:
        return f"{self.port} ({self.program})" if self.program else str(self.port)


class Facts(Part):
    """All of it; a part that could not be gathered is None and named in `unread`."""

    system: System | None
    sudo: Text | None
    pythons: Annotated[tuple[Python, ...], Listed] | None
    install: Install | None
    gpus: Gpus | None
    rails: Annotated[tuple[Rail, ...], Listed] | None
    local_disk: Folder | None
    shared_disk: Folder | None
    network: Network | None
    listeners: Annotated[tuple[Listener, ...], Listed] | None
    #: Why, by part.
    unread: Annotated[Mapping[Text, Text], Field(max_length=20)]
    #: Seconds since 1970, when the answer was given.
    clock_s: Annotated[float, Field(ge=0, lt=1e11)]

    @property
    def runs_ours(self) -> bool:
        """Whether a Ray that Flotilla started is at work."""
        return any(each.ours for each in self.listeners or ())


def read_facts(said: str) -> Facts:
    """The facts in what a node said. Raises ValueError, whose text is a cause."""
    at = said.rfind(MARK)
    if at < 0 or len(said) > MAX_CHARS:
        shown = printable(said.strip()[:SHOWN_CHARS])
        raise ValueError(f"answered {shown!r} instead of facts" if shown else "answered nothing")
    line = said[at + len(MARK) :].partition("\n")[0]
    try:
        return Facts.model_validate_json(line.encode(errors="replace"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = printable(".".join(map(str, first["loc"])))[:SHOWN_CHARS] or "its JSON"
        raise ValueError(f"answered facts that are none: {where}: {first['msg'][:80]}") from None
