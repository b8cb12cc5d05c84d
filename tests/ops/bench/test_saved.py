from pathlib import Path

import pytest

from ops.bench import saved

PAGE = """\
# Results

<!-- gateway -->
old
<!-- end of gateway -->
<!-- routers -->
<!-- end of routers -->
"""


def test_a_benchmark_renews_its_own_section_and_leaves_the_others(tmp_path: Path) -> None:
    page = tmp_path / "RESULTS.md"
    page.write_text(PAGE)
    saved.save("routers", "# Routers\n\n## Table\n", page)
    saved.save("gateway", "# Gateway\n", page)
    assert page.read_text() == (
        "# Results\n\n<!-- gateway -->\n\n## Gateway\n\n<!-- end of gateway -->\n"
        "<!-- routers -->\n\n## Routers\n\n### Table\n\n<!-- end of routers -->\n"
    )


def test_what_is_saved_twice_is_there_once() -> None:
    once = saved.renewed(PAGE, "gateway", "# Gateway\n")
    assert saved.renewed(once, "gateway", "# Gateway\n") == once


def test_a_page_without_the_section_is_not_written() -> None:
    with pytest.raises(LookupError, match="no section between <!-- simulator -->"):
        saved.renewed(PAGE, "simulator", "")


def test_the_committed_page_has_a_table_in_every_section() -> None:
    page = saved.PAGE.read_text(encoding="utf-8")
    for section in ("gateway", "routers", "simulator"):
        _, _, rest = page.partition(f"<!-- {section} -->")
        text, closed, _ = rest.partition(f"<!-- end of {section} -->")
        assert closed
        assert "| ---: |" in text
