"""What must be the same on all nodes. Pure.

The value that most nodes have is taken for the right one, of two that as many have the head's; a
node with another is told so. Where a node says nothing, another check says why.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from cluster.checking.check import Check, Seen, fail, ok, warn
from cluster.checking.disk import is_networked
from cluster.checking.software import fitting

#: A node's value of what should be the same; empty when it says none.
Read = Callable[[Seen], str]
#: The verdict on a node whose value is not the common one.
Judge = Callable[[str, str], Check]


def agreements(seen: Sequence[Seen]) -> Mapping[str, list[Check]]:
    """Verdicts by machine."""
    found: dict[str, list[Check]] = {each.machine.name: [] for each in seen}
    # What nodes prefer may differ as long as there is one that all have.
    python = [] if common_python(seen) else [(_python, _other_python)]
    for read, judge in [*python, *TOPICS]:
        for name, check in _compared(seen, read, judge):
            found[name].append(check)
    return found


def common_python(seen: Iterable[Seen]) -> str | None:
    """The version of Python that every node has in its install, or has for one; None when there is
    none, of several the one that the first node prefers.
    """
    choices = [_python_versions(each) for each in seen]
    for found in choices[0] if choices else ():
        if all(found in choice for choice in choices):
            return found
    return None


def _python_versions(seen: Seen) -> list[str]:
    if seen.facts.install is not None:
        return [seen.facts.install.python]
    return [each.version for each in fitting(seen.facts.pythons or ())]


def _compared(seen: Sequence[Seen], read: Read, judge: Judge) -> Iterable[tuple[str, Check]]:
    values = {each.machine.name: read(each) for each in seen}
    counts = Counter(value for value in values.values() if value)
    heads = {values[each.machine.name] for each in seen if each.is_head}
    common = max(counts, key=lambda value: (counts[value], value in heads, value), default="")
    if counts.total() < 2:
        return
    for name, value in values.items():
        if value:
            check = judge(value, common)
            yield name, ok(check.name, value) if value == common else check


def _installed(seen: Seen) -> str:
    """Versions, whatever they were built for: a head without GPUs has the CPU build."""
    packages = seen.facts.install.packages if seen.facts.install else {}
    found = {name.removesuffix("_cpu"): value.partition("+")[0] for name, value in packages.items()}
    return ", ".join(f"{name} {found[name]}" for name in ("ray", "vllm", "torch") if name in found)


def _other_install(value: str, common: str) -> Check:
    fix = "remove `~/flotilla/.venv` on it: `flotilla up INVENTORY` installs the same everywhere"
    return fail("same install", f"{value}; most nodes have {common}", fix)


def _python(seen: Seen) -> str:
    return next((f"Python {version}" for version in _python_versions(seen)), "")


def _other_python(value: str, common: str) -> Check:
    fix = f"install {common} on it, Ray joins equal ones only; an install made before goes first"
    return fail("same python", f"{value}; most nodes have {common}", fix)


def _driver(seen: Seen) -> str:
    return seen.facts.gpus.driver if seen.facts.gpus else ""


def _other_driver(value: str, common: str) -> Check:
    return warn("same driver", f"{value}; most nodes have {common}", f"install {common} on it")


def _mtu(seen: Seen) -> str:
    network = seen.facts.network
    carrier = network.interface_with(seen.machine.address) if network else None
    return str(carrier.mtu) if carrier else ""


def _other_mtu(value: str, common: str) -> Check:
    fix = f"`sudo ip link set dev INTERFACE mtu {common}` on it, or large packets may be lost"
    return warn("same mtu", f"{value}; most nodes have {common}", fix)


def _file_system(seen: Seen) -> str:
    """A sign of the shared root that is the same wherever that file system is mounted. A network
    file system is known by what its server calls it, not by the server, which may have several
    addresses; a disk of the node's own by the number that it was made with.
    """
    folder = seen.facts.shared_disk
    if folder is None or not folder.exists:
        return ""
    if is_networked(folder):
        name, kind = folder.source.rpartition(":")[2], folder.kind.rstrip("34")
        return f"{name} by {kind}, inode {folder.inode}"
    return f"{folder.kind} {folder.filesystem_id:x}, inode {folder.inode}"


def _other_file_system(value: str, common: str) -> Check:
    text = f"its shared root is {value}, that of most nodes {common}"
    return fail("same shared root", text, "mount the same file system there on every node")


TOPICS: tuple[tuple[Read, Judge], ...] = (
    (_installed, _other_install),
    (_driver, _other_driver),
    (_mtu, _other_mtu),
    (_file_system, _other_file_system),
)
