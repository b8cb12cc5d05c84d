"""Where weights, the install and shared memory live. Pure."""

from cluster.accelerator import GIB
from cluster.checking.check import Check, Seen, fail, ok, skipped, warn
from cluster.inventory import Inventory, Machine, Node, Storage
from cluster.machine import SHARED_MEMORY_BYTES
from cluster.node_facts import Folder
from cluster.ray_start import OBJECT_STORE_BYTES

#: In shared memory: Ray's object store and the engines' queues.
SHARED_MEMORY_NEEDED_BYTES = OBJECT_STORE_BYTES + SHARED_MEMORY_BYTES
#: An install for GPUs takes about ten.
HOME_NEEDED_BYTES = 15 * GIB
#: With less than this even a small model is not staged.
LOCAL_NEEDED_BYTES = 20 * GIB
#: Kinds of file systems whose files other machines see; `fuse.` stands for many more.
NETWORKED = (
    "nfs", "virtiofs", "ceph", "lustre", "wekafs", "9p", "gpfs", "beegfs", "cifs", "smb", "fuse.",
)  # fmt: skip
IN_MEMORY = ("tmpfs", "ramfs")


def is_networked(folder: Folder) -> bool:
    return folder.kind.startswith(NETWORKED)


def gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:,.1f} GiB"


def storage_of(inventory: Inventory, machine: Machine) -> Storage:
    """The roots that a machine should have; a head of its own holds no replicas."""
    if isinstance(machine, Node):
        return inventory.storage_of(machine)
    return Storage(shared=inventory.storage.shared)


def local(seen: Seen) -> Check:
    """Whether weights can be staged on the node's own disk."""
    name, path = "local storage", storage_of(seen.inventory, seen.machine).local
    if path is None:
        return skipped(name, "no `storage.local`")
    folder = seen.need("local_disk", seen.facts.local_disk)
    owner = f"sudo chown {seen.facts.system.user if seen.facts.system else '$USER'} {path}"
    if not folder.exists:
        return fail(name, f"there is no {path}", f"`sudo mkdir -p {path} && {owner}` on it")
    if not folder.writable:
        return fail(name, f"{path} cannot be written", f"`{owner}` on it")
    text = f"{gib(folder.free_bytes)} free, {folder.kind} on {folder.source}"
    if is_networked(folder) or folder.kind in IN_MEMORY:
        return warn(name, f"{path} is no disk of its own: {text}", "mount its NVMe there")
    if folder.free_bytes < LOCAL_NEEDED_BYTES:
        return warn(name, text, f"make room in {path}, `flotilla models stage` puts weights there")
    return ok(name, text)


def shared(seen: Seen) -> Check:
    """Whether the root that all nodes share is there; whether it is the same, nodes decide
    together.
    """
    name, path = "shared storage", storage_of(seen.inventory, seen.machine).shared
    if path is None:
        return skipped(name, "no `storage.shared`")
    folder = seen.need("shared_disk", seen.facts.shared_disk)
    if not folder.exists:
        return fail(name, f"there is no {path}", "mount the shared file system there, as elsewhere")
    return ok(name, f"{gib(folder.free_bytes)} free, {folder.kind} on {folder.source}")


def home(seen: Seen) -> Check:
    """Room for the install in the user's home."""
    name = "home"
    system = seen.need("system", seen.facts.system)
    text = f"{gib(system.home_free_bytes)} free"
    if system.home_free_bytes < HOME_NEEDED_BYTES and seen.facts.install is None:
        return warn(name, f"{text}, an install takes up to {gib(HOME_NEEDED_BYTES)}", "make room")
    return ok(name, text)


def shared_memory(seen: Seen) -> Check:
    name = "shared memory"
    system = seen.need("system", seen.facts.system)
    text = f"{gib(system.shared_memory_free_bytes)} free in /dev/shm"
    if system.shared_memory_free_bytes < SHARED_MEMORY_NEEDED_BYTES and not seen.facts.runs_ours:
        fix = "`sudo mount -o remount,size=50% /dev/shm` on it (in a container: --shm-size=1g)"
        return fail(
            name, f"{text}, Ray and the engines take {gib(SHARED_MEMORY_NEEDED_BYTES)}", fix
        )
    return ok(name, text)
