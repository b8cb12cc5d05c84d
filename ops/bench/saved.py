"""RESULTS.md: one page for all benchmarks, a section each, which its own benchmark renews.

A section stands between two comments and is the benchmark's own page, its headings one deeper.
"""

import re
from pathlib import Path
from typing import Literal

Section = Literal["gateway", "routers", "simulator", "fairness", "overload"]
PAGE = Path(__file__).with_name("RESULTS.md")


def save(section: Section, text: str, page: Path = PAGE) -> None:
    """Raises LookupError where the page has no such section."""
    page.write_text(renewed(page.read_text(encoding="utf-8"), section, text), encoding="utf-8")


def renewed(page: str, section: Section, text: str) -> str:
    """The page with this for its section. Raises LookupError where it has none."""
    begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->\n"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise LookupError(f"no section between {begin.strip()} and {end.strip()}")
    return f"{before}{begin}\n{deeper(text).strip()}\n\n{end}{after}"


def deeper(text: str) -> str:
    """Markdown whose headings are one level lower; it has no code."""
    return re.sub(r"^#", "##", text, flags=re.MULTILINE)
