"""Checkpoints go from this machine to a node that has no shared root, by rsync: the node says what
it lacks, gets it, checks and publishes it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.checkpoint_folder import CheckpointFolder, size_of
from cluster.errors import CheckpointUnreadable, StagingFailed
from cluster.manifest import Manifest, ManifestInvalid
from cluster.staging import Moved, Report, Result, Target, ask, require_local, results

#: All through this machine's own network.
MAX_AT_ONCE = 4
#: A file that comes more slowly than this is given up.
SLOWEST_BYTES_PER_S = 1 << 20
LEAST_S = 120.0
OPTIONS = ("--inplace", "--no-owner", "--no-group", "--chmod=F644")
DISK_FULL = "no space left"


@dataclass(frozen=True, slots=True)
class Origin:
    """The root here that checkpoints are pushed from."""

    root: Path
    gate: asyncio.Semaphore

    @classmethod
    def of(cls, root: Path) -> "Origin":
        return cls(root, asyncio.Semaphore(MAX_AT_ONCE))

    def manifest(self, source: str) -> Manifest:
        """Raises CheckpointUnreadable."""
        at = self.root / source
        try:
            found = CheckpointFolder(str(self.root), source).manifest()
        except ManifestInvalid as error:
            raise CheckpointUnreadable(f"the manifest in {at} is not right: {error}") from error
        if found is None or found.source != source:
            fix = f"`flotilla models pull --to {self.root}` makes one"
            raise CheckpointUnreadable(f"no checkpoint with its manifest in {at}: {fix}")
        wrong = next(CheckpointFolder(str(self.root), source).unequal(found), None)
        if wrong is not None:
            raise CheckpointUnreadable(f"{at / wrong.name} is not there as its manifest says")
        return found


async def push(target: Target, origin: Origin, report: Report) -> list[Result]:
    """Raises NodeFailed, and CheckpointUnreadable where there is nothing to push."""
    manifests = {source: origin.manifest(source) for source in target.sources}
    request: dict[str, Any] = {"local": require_local(target)}
    texts = [manifest.text().decode() for manifest in manifests.values()]
    async with origin.gate:
        said = await ask(target.remote, {**request, "task": "draft", "manifests": texts}, report)
        done = results(target, said)
        begun = {result.source for result in done}
        left = [each for each in manifests.values() if each.source not in begun]
        if "" in begun or not left:
            return done
        wanted = [event for event in said if event["event"] == "wanted"]
        for manifest in left:
            await _send(target, origin, manifest, wanted, report)
        texts = [manifest.text().decode() for manifest in left]
        said = await ask(target.remote, {**request, "task": "publish", "manifests": texts}, report)
        return [*done, *results(target, said)]


async def _send(
    target: Target,
    origin: Origin,
    manifest: Manifest,
    wanted: Sequence[dict[str, Any]],
    report: Report,
) -> None:
    names = {each.get("name"): each.get("folder") for each in wanted
             if each.get("source") == manifest.source}  # fmt: skip
    total = manifest.size_bytes
    lacking = [file for file in manifest.files if file.name in names]
    done = total - sum(file.size_bytes for file in lacking)
    for file in lacking:
        # Half of the work: the node still reads it back.
        report(Moved(target.remote.name, manifest.source, done // 2, total))
        path = origin.root / manifest.source / file.name
        await _send_file(target, path, f"{names[file.name]}/{file.name}", manifest.source)
        done += file.size_bytes


async def _send_file(target: Target, path: Path, to: str, source: str) -> None:
    size = size_of(str(path.parent), path.name) or 0
    patience_s = LEAST_S + size / SLOWEST_BYTES_PER_S
    outcome = await target.remote.copy_in([path], to, timeout_s=patience_s, options=OPTIONS)
    if not outcome.status:
        return
    if DISK_FULL in outcome.stderr.lower():
        request = {"task": "clear", "local": require_local(target), "sources": [source]}
        await ask(target.remote, request, lambda _: None)
        cause = f"its disk became full while {source} was staged"
        raise StagingFailed(target.remote.name, cause, "make room there; its draft was removed")
    cause = f"rsync of {path.name} failed: {outcome.cause()}"
    raise StagingFailed(target.remote.name, cause, "is rsync there? What came is kept: run again")
