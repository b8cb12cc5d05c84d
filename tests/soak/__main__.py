"""Asks, breaks things, and looks whether anything was lost: python -m tests.soak

python -m tests.soak [--minutes 30] [--seed 1]     writes ops/soak.md and ops/soak.json

Exits with 1 where something was not as it should be; the page says what.
"""

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

import uvloop

from tests.soak import pace
from tests.soak.program import ROOT, Unruly
from tests.soak.report import encode, page
from tests.soak.soak import soak

PAGE = ROOT / "ops" / "soak.md"
LEAST_MINUTES = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="at least 1")
    parser.add_argument("--seed", type=int, default=1, help="of all dice")
    arguments = parser.parse_args()
    if not arguments.minutes >= LEAST_MINUTES:
        parser.error(f"--minutes is {arguments.minutes:g}: give {LEAST_MINUTES:g} or more")
    folder = Path(mkdtemp(prefix="soak-", dir="/tmp"))  # the names of its sockets must be short
    try:
        report = uvloop.run(soak(pace.full(arguments.minutes), arguments.seed, folder))
    except Unruly as error:
        sys.exit(f"{error}; what was said is in {folder}")
    PAGE.with_suffix(".json").write_bytes(encode(report))
    PAGE.write_text(page(report))
    print(page(report))
    if not report.passed:
        print(f"What its processes said, what clients saw, spools and the ledger are in {folder}.")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
