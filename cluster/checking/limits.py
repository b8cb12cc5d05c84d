"""What the kernel lets the user's programs have. Pure."""

from cluster.checking.check import Check, Seen, fail, ok, skipped, warn

#: A gateway has one for each connection, a raylet some for each worker.
FILES_WANTED = 65_536
FILES_NEEDED = 4_096
#: Threads count: an engine's worker has dozens.
PROCESSES_WANTED = 16_384
NO_LIMIT = -1
FIX = "a line in /etc/security/limits.d on it, then log in anew: `{user} hard {what} {value}`"


def _fix(seen: Seen, what: str, value: str) -> str:
    user = seen.facts.system.user if seen.facts.system else "*"
    return FIX.format(user=user, what=what, value=value)


def files(seen: Seen) -> Check:
    limit = seen.need("system", seen.facts.system).files
    text = "no limit" if limit == NO_LIMIT else f"{limit:,}"
    if limit == NO_LIMIT or limit >= FILES_WANTED:
        return ok("open files", text)
    fix = _fix(seen, "nofile", str(FILES_WANTED))
    if limit < FILES_NEEDED:
        return fail("open files", f"{text}, Ray needs {FILES_NEEDED:,}", fix)
    return warn("open files", f"{text}, {FILES_WANTED:,} carry a busy gateway", fix)


def processes(seen: Seen) -> Check:
    limit = seen.need("system", seen.facts.system).processes
    text = "no limit" if limit == NO_LIMIT else f"{limit:,}"
    if limit == NO_LIMIT or limit >= PROCESSES_WANTED:
        return ok("processes", text)
    fix = _fix(seen, "nproc", str(PROCESSES_WANTED))
    return warn(
        "processes", f"{text}, threads included: engines may start {PROCESSES_WANTED:,}", fix
    )


def locked_memory(seen: Seen) -> Check:
    """InfiniBand moves pages that are locked in memory."""
    if not seen.need("rails", seen.facts.rails):
        return skipped("locked memory", "no InfiniBand")
    limit = seen.need("system", seen.facts.system).locked_bytes
    if limit == NO_LIMIT:
        return ok("locked memory", "no limit")
    text = f"{limit >> 10:,} KiB, InfiniBand needs all"
    return fail("locked memory", text, _fix(seen, "memlock", "unlimited"))
