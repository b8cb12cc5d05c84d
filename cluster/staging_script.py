"""Stages checkpoints on the node that it runs on, and says how it goes as lines of JSON.

Rules
1. It is sent to the node as the stdin of its own `python3`, where Flotilla may never have been: the
   standard library only, Python 3.8 and later, and what is sent along with it.
2. Whether there is room is found out before the first byte is written.
3. One checkpoint that fails costs itself; a full disk ends the work, and the draft that filled it
   is removed, so that what runs on the node has room again. Every other draft is kept.
4. When nobody listens any more it ends.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from cluster.checkpoint_folder import CheckpointFolder, copy, has_digest
from cluster.filling import FILES_AT_ONCE, WORK_PER_BYTE, Mismatch, Tally, fill
from cluster.manifest import File, Manifest, ManifestInvalid, parse_manifest
from cluster.staging_voice import Refused, Unfit, progress, say, told

if TYPE_CHECKING:
    from cluster.checkpoint_folder import Tell
    from cluster.filling import Fetch

FULL = (errno.ENOSPC, errno.EDQUOT)
MAX_NAMED = 3
GIB = 1 << 30


def main(request: Mapping[str, Any]) -> None:
    """Does what is asked; `end` is the last word."""
    try:
        TASKS[request["task"]](request)
    except Refused as refused:
        say("refused", cause=refused.cause, fix=refused.fix)
    say("end")


def stage(request: Mapping[str, Any]) -> None:
    """Copies from the shared root."""
    shared = request["shared"]
    if not os.path.isdir(shared):
        raise Refused(f"there is no {shared}", "mount the shared file system there, as elsewhere")
    manifests = []
    for source in request["sources"]:
        with told(source):
            manifests.append(_manifest(shared, source))
    for manifest in _missing(request["local"], manifests):
        with told(manifest.source):
            _stage_from(os.path.join(shared, manifest.source), request["local"], manifest)


def draft(request: Mapping[str, Any]) -> None:
    """Makes ready for files that are pushed here, and says which."""
    manifests = [parse_manifest(text.encode()) for text in request["manifests"]]
    for manifest in _missing(request["local"], manifests):
        with told(manifest.source):
            folder = CheckpointFolder(request["local"], manifest.source)
            with folder.alone():
                for file in manifest.files:
                    folder.adopt(file)
                    if folder.drafted_bytes(file) < file.size_bytes:
                        os.makedirs(os.path.dirname(folder.target(file.name)), exist_ok=True)
                        say("wanted", source=manifest.source, folder=folder.files, name=file.name)


def publish(request: Mapping[str, Any]) -> None:
    """Checks and publishes what was pushed here."""
    for text in request["manifests"]:
        manifest = parse_manifest(text.encode())
        with told(manifest.source):
            _stage(request["local"], manifest, _lacking)


def clear(request: Mapping[str, Any]) -> None:
    """Removes the draft of what could not be pushed."""
    for source in request["sources"]:
        CheckpointFolder(request["local"], source).remove_draft()


def check(request: Mapping[str, Any]) -> None:
    """Looks at what is there; `is_full` reads it all."""
    for source in request["sources"]:
        for root in request["roots"]:
            with told(source, "look at this disk"):
                _look(root, source, is_full=request["is_full"])


TASKS = {"stage": stage, "draft": draft, "publish": publish, "clear": clear, "check": check}


def _missing(root: str, manifests: list[Manifest]) -> list[Manifest]:
    """Those that are not published; says of the others that they are."""
    _require_root(root)
    missing = []
    for manifest in manifests:
        with told(manifest.source):
            if CheckpointFolder(root, manifest.source).is_published(manifest):
                _say_staged(manifest, 0.0, is_new=False)
            else:
                missing.append(manifest)
    _require_room(root, missing)
    return missing


def _require_root(root: str) -> None:
    owner = f"sudo mkdir -p {root} && sudo chown $USER {root}"
    if not os.path.isdir(root):
        raise Refused(f"there is no {root}", f"mount the node's own disk there, or `{owner}`")
    if os.statvfs(root).f_flag & os.ST_RDONLY:
        raise Refused(f"{root} is mounted read-only", f"`sudo mount -o remount,rw {root}`")
    if not os.access(root, os.W_OK | os.X_OK):
        raise Refused(f"{root} cannot be written", f"`{owner}`")


def _require_room(root: str, manifests: list[Manifest]) -> None:
    needed = 0
    for manifest in manifests:
        folder = CheckpointFolder(root, manifest.source)
        needed += sum(file.size_bytes - folder.drafted_bytes(file) for file in manifest.files)
    disk = os.statvfs(root)
    free = disk.f_bavail * disk.f_frsize
    if needed > free:
        names = ", ".join(manifest.source for manifest in manifests)
        cause = f"{root} has {_gib(free)} free, {_gib(needed)} more are needed for {names}"
        raise Refused(cause, "make room there, or name fewer models")


def _manifest(shared: str, source: str) -> Manifest:
    path = os.path.join(shared, source)
    pull = f"`flotilla models pull` puts it there (`flotilla models seal {path}`, if it is yours)"
    try:
        found = CheckpointFolder(shared, source).manifest()
    except ManifestInvalid as error:
        raise Unfit(f"the manifest in {path} is not right: {error}", "pull it again") from error
    if found is None:
        raise Unfit(f"no checkpoint with a manifest in {path}", pull)
    if found.source != source:
        raise Unfit(f"the manifest in {path} is that of {found.source}", pull)
    return found


def _stage_from(origin: str, root: str, manifest: Manifest) -> None:
    def fetch(file: File, target: str, tell: Tell) -> None:
        copy(origin, file, target, tell)

    try:
        _stage(root, manifest, fetch)
    except Mismatch as mismatch:
        path = os.path.join(origin, mismatch.file.name)
        if has_digest(origin, mismatch.file, lambda _: None):
            raise Unfit(f"the disk of {root} gives {path} back changed", "replace it") from mismatch
        cause = f"{path} has another digest than its manifest says"
        raise Unfit(cause, f"remove {origin} and pull it again") from mismatch


def _lacking(file: File, target: str, tell: Tell) -> None:
    """What was pushed is there already; what is not, or was not right, does not come by itself."""
    cause = f"{file.name} came with another size or digest than its manifest says"
    raise Unfit(cause, "run it again; if it stays so, where it is pushed from it is damaged")


def _stage(root: str, manifest: Manifest, fetch: Fetch) -> None:
    began_s = time.monotonic()
    folder = CheckpointFolder(root, manifest.source)
    with folder.alone():
        try:
            tally = Tally()
            with progress(manifest, tally, WORK_PER_BYTE):
                fill(folder, manifest, fetch, tally)
            folder.publish(manifest)
        except OSError as error:
            if error.errno not in FULL:
                raise
            folder.remove_draft()
            cause = f"the disk of {root} became full while {manifest.source} was staged"
            raise Refused(cause, "make room there; its draft was removed") from error
    _say_staged(manifest, time.monotonic() - began_s, is_new=True)


def _look(root: str, source: str, *, is_full: bool) -> None:
    folder = CheckpointFolder(root, source)
    manifest = folder.manifest()
    found = {"source": source, "root": root, "is_there": os.path.isdir(folder.path)}
    if manifest is None:
        say("found", **found, digest="", revision="", wrong=[])
        return
    wrong = [file.name for file in folder.unequal(manifest)]
    if is_full and not wrong:
        wrong = _damaged(folder, manifest)
    some = wrong[:MAX_NAMED] + ([f"{len(wrong)} in all"] if len(wrong) > MAX_NAMED else [])
    say("found", **found, digest=manifest.digest(), revision=manifest.revision, wrong=some)


def _damaged(folder: CheckpointFolder, manifest: Manifest) -> list[str]:
    tally = Tally()
    with progress(manifest, tally, 1), ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        jobs = {
            file.name: pool.submit(has_digest, folder.path, file, tally.add)
            for file in manifest.files
        }
        return [name for name, job in jobs.items() if not job.result()]


def _say_staged(manifest: Manifest, took_s: float, *, is_new: bool) -> None:
    say(
        "staged",
        source=manifest.source,
        is_new=is_new,
        size_bytes=manifest.size_bytes,
        took_s=took_s,
        digest=manifest.digest(),
    )


def _gib(size_bytes: float) -> str:
    return f"{size_bytes / GIB:,.1f} GiB"
