"""In a process of its own: how it keeps memory is so for the whole process."""

import platform
import subprocess
import sys

import pytest

#: Blocks of 10 MiB that come and go, each with a small one behind it that stays: without a word to
#: the C library the second lies in the heap, and its room stays there.
CODE = """
import sys
from pathlib import Path

from serving.gateway import heap

if sys.argv[1:]:
    heap.keep_little()
kept = []
for _ in range(3):
    body = bytearray(10 * 2**20)
    kept.append(bytearray(2_000))
    del body
print(int(Path("/proc/self/statm").read_text().split()[1]) * 4_096)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc")
def test_what_large_bodies_took_is_given_back() -> None:
    assert resident_bytes() - resident_bytes("keeps little") > 5 * 2**20


def resident_bytes(*words: str) -> int:
    given = [sys.executable, "-c", CODE, *words]
    done = subprocess.run(given, check=True, timeout=60, capture_output=True, text=True)
    return int(done.stdout)
