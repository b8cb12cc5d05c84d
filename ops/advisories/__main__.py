"""`python -m ops.advisories`: status 1 for what is new, 2 when nobody could be asked, so that
silence is never taken for a good answer.
"""

import asyncio
import sys
from pathlib import Path

import click
import yaml

from ops.advisories.osv import URL, ask
from ops.advisories.verdict import judge, lines, pins
from ops.errors import AdvisoriesUnknown

ROOT = Path(__file__).parents[2]
LOCKS = ("ops/locks/cpu.txt", "ops/locks/gpu.txt")
ACCEPTED = ROOT / "ops" / "advisories" / "accepted.yaml"
NEW, NOT_ASKED = 1, 2


def accepted() -> dict[str, str]:
    """The reason of each advisory that was looked at."""
    return dict(yaml.safe_load(ACCEPTED.read_text()) or {})


def main(url: str = URL) -> int:
    """Answers with the status of the process."""
    locked = set().union(*(pins((ROOT / lock).read_text()) for lock in LOCKS))
    try:
        found = asyncio.run(ask(locked, url))
    except AdvisoriesUnknown as error:
        click.echo(f"advisories: not asked, the locks are as they were: {error}", err=True)
        return NOT_ASKED
    verdict = judge(found, accepted())
    for line in lines(verdict, len(locked)):
        click.echo(line, err=True)
    return NEW if verdict.new else 0


if __name__ == "__main__":
    sys.exit(main())
