"""A virtual environment per rival under `.bench/`, made by uv on first use and kept."""

import os
import subprocess
import sys
from pathlib import Path

from ops.bench.errors import CannotInstall

_LIMIT_S = 600
_RECEIPT = "flotilla-bench.txt"


def ensure(place: Path, packages: tuple[str, ...]) -> Path:
    """The environment's interpreter, after installing what is not there yet."""
    python = place / "bin" / "python"
    receipt = place / _RECEIPT
    wanted = "\n".join(packages)
    if not (receipt.is_file() and receipt.read_text() == wanted):
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(place))
        _uv("pip", "install", "--quiet", "--python", str(python), *packages)
        receipt.write_text(wanted)
    return python


def versions(python: Path, distributions: tuple[str, ...]) -> dict[str, str]:
    """Installed versions as that interpreter sees them."""
    code = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
    answer = subprocess.run(  # noqa: S603 - our own argument list, no shell
        [str(python), "-c", code, *distributions], capture_output=True, text=True, check=True
    )
    return dict(zip(distributions, answer.stdout.split(), strict=True))


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    if not uv.is_file():
        raise CannotInstall(f"no uv beside {sys.executable}")
    # uv does not read pip's own setting for a local wheel folder.
    links = os.environ.get("PIP_FIND_LINKS")
    env = os.environ | ({"UV_FIND_LINKS": links} if links else {})
    try:
        done = subprocess.run(  # noqa: S603 - our own argument list, no shell
            [str(uv), *arguments],
            env=env,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotInstall(f"uv {arguments[0]} took longer than {_LIMIT_S} s") from None
    if done.returncode:
        raise CannotInstall(" ".join(done.stderr.split())[:300])
