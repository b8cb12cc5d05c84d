"""Whether a machine lets us in, lets us do what needs rights, and has our time. Pure."""

from cluster.checking.check import Check, Seen, fail, ok, skipped, warn

#: Tokens, keys and logs of several nodes are compared by their times.
MAX_SKEW_S = 5.0
SEEN_SKEW_S = 1.0
CLOCK_FIX = "`sudo timedatectl set-ntp true` on it, or install chrony"


def login(seen: Seen) -> Check:
    user = seen.facts.system.user if seen.facts.system else "somebody"
    return skipped("ssh", f"as {user}, here") if seen.wanted.alone else ok("ssh", f"as {user}")


def sudo(seen: Seen) -> Check:
    refusal = seen.need("sudo", seen.facts.sudo)
    if not refusal:
        return ok("sudo", "without a password")
    user = seen.facts.system.user if seen.facts.system else "the user"
    rule = f"`{user} ALL=(ALL) NOPASSWD:ALL` in a file of /etc/sudoers.d on it"
    return fail("sudo", refusal, f"put {rule}, or log in as one who may")


def clock(seen: Seen) -> Check:
    if seen.wanted.alone:
        return skipped("clock", "there is no other to compare with")
    text = f"{abs(seen.skew_s):.1f} s {'ahead of' if seen.skew_s > 0 else 'behind'} this machine's"
    if abs(seen.skew_s) > MAX_SKEW_S:
        return fail("clock", text, CLOCK_FIX)
    if abs(seen.skew_s) > SEEN_SKEW_S:
        return warn("clock", text, CLOCK_FIX)
    return ok("clock", text)
