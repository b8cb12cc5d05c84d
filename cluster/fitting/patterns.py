"""Which of a checkpoint's matrices its quantisation leaves out, by the rules of vLLM 0.32.0.

Three dialects: exact names (`is_layer_skipped`, quant_utils.py), names and `re:` patterns
(`find_matching_patterns`, config_utils.py), names and wildcards (`is_layer_excluded`,
modelopt.py). Patterns come from outside: only simple ones are taken, so none can take for ever.
"""

import re
from collections.abc import Callable
from fnmatch import translate

from cluster.fitting.keys import Keys

#: Whether a matrix is left out: its name in vLLM, and its parts' names in the checkpoint.
Match = Callable[[str, tuple[str, ...]], bool]
MAX_STARS = 3
REGEX_PREFIX = "re:"
#: No groups and no counts: what is left backtracks at most as often as it has stars.
SIMPLE = re.compile(r"[\w.*\\^$-]*")


def exact_or_regex(found: Keys, key: str, *, with_regex: bool) -> Match:
    """The name itself, or every part of it."""
    listed = found.texts(key)
    regexes = [
        _simple(found, key, text.removeprefix(REGEX_PREFIX))
        for text in listed
        if with_regex and text.startswith(REGEX_PREFIX)
    ]
    names = frozenset(listed)

    def is_listed(name: str) -> bool:
        return name in names or any(regex.match(name) for regex in regexes)

    return lambda name, parts: is_listed(name) or _all(found, key, [is_listed(p) for p in parts])


def substring_or_wildcard(found: Keys, key: str) -> Match:
    """As exact names, and wherever an entry is a part of the name or a wildcard that fits."""
    listed = found.texts(key)
    wildcards = [wildcard for text in listed for wildcard in _halves(text)]
    for wildcard in wildcards:
        if wildcard.count("*") > MAX_STARS:
            raise found.wrong(key, f"has a pattern with more than {MAX_STARS} stars")
    names = frozenset(wildcards)
    regexes = [re.compile(translate(text)) for text in wildcards if "*" in text or "?" in text]

    def is_left_out(name: str, parts: tuple[str, ...]) -> bool:
        if name in names or _all(found, key, [part in names for part in parts]):
            return True
        return any(text in name for text in names) or any(regex.match(name) for regex in regexes)

    return is_left_out


def _halves(text: str) -> tuple[str, ...]:
    """ModelOpt writes `path*` for a module and all below it; vLLM makes two of that."""
    if len(text) >= 2 and text[-1] == "*" and text[-2] != ".":
        return text[:-1], text[:-1] + ".*"
    return (text,)


def _all(found: Keys, key: str, matches: list[bool]) -> bool:
    """Whether all parts match; vLLM refuses a fused matrix of which only some do."""
    if any(matches) and not all(matches):
        raise found.wrong(key, "names some of the matrices that vLLM fuses into one, not all")
    return all(matches)


def _simple(found: Keys, key: str, pattern: str) -> re.Pattern[str]:
    if not SIMPLE.fullmatch(pattern) or pattern.count("*") > MAX_STARS:
        raise found.wrong(key, f"has a pattern that is too complex: {pattern!r}")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise found.wrong(key, f"has a pattern that is none: {pattern!r}") from error
