"""What we ship for Prometheus is what Prometheus takes, asks for what there is, and every alert
has a page that says what to do.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.metrics import families
from tests.prometheus import DASHBOARD, OPS, SHIPPED, dashboard_queries, recorded_names

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs Debian's prometheus"
)
#: Of vLLM 0.32, those that we ask for; the test with real engines holds them against one.
VLLM = {
    "vllm:kv_cache_usage_perc",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:prefix_cache_hits_total",
    "vllm:prefix_cache_queries_total",
    "vllm:generation_tokens_total",
    "vllm:num_preemptions_total",
}
#: Prometheus's own, and every process's.
COMMON = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
_NAME = re.compile(r"\b(?:flotilla|vllm|process)[_:][a-z0-9_:]*|\bup\b")


def promtool(*arguments: str, folder: Path = SHIPPED) -> str:
    done = subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((SHIPPED / "alerts.yml").read_text())["groups"]
    return list(group["rules"])


def test_promtool_takes_the_configuration_with_all_its_rules(tmp_path: Path) -> None:
    for path in SHIPPED.glob("*.yml"):
        shutil.copy(path, tmp_path)
    (tmp_path / "token").write_text("secret")
    said = promtool("check", "config", "prometheus.yml", folder=tmp_path)
    assert f"{len(recorded_names())} rules found" in said
    assert f"{len(alerts())} rules found" in said


def test_the_rules_do_what_their_own_tests_say() -> None:
    promtool("test", "rules", "tests.yml")


def test_every_alert_is_tried_in_those_tests() -> None:
    tried = set(re.findall(r"alertname: (\w+)", (SHIPPED / "tests.yml").read_text()))
    assert tried == {alert["alert"] for alert in alerts()}


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    for alert in alerts():
        page = OPS.parent / alert["annotations"]["runbook"]
        assert page.name == f"{alert['alert']}.md"
        text = page.read_text()
        assert text.startswith(f"# {alert['alert']}\n")
        assert all(part in text for part in ("**Clients see**", "## Look", "## Do"))
        assert alert["labels"]["severity"] in ("critical", "warning")
    pages = {path.stem for path in (OPS / "runbooks").glob("*.md")}
    assert pages == {alert["alert"] for alert in alerts()}


def test_links_between_pages_lead_somewhere() -> None:
    for path in (OPS / "runbooks").glob("*.md"):
        for link in re.findall(r"\]\((\w+\.md)\)", path.read_text()):
            assert (path.parent / link).exists()


def test_nothing_is_asked_for_that_nobody_exports() -> None:
    exported = {name for family in families.ALL for name in family.exposed}
    known = exported | VLLM | COMMON | set(recorded_names())
    recording = yaml.safe_load((SHIPPED / "recording.yml").read_text())["groups"][0]["rules"]
    queries = [rule["expr"] for rule in (*recording, *alerts())] + dashboard_queries()
    asked = {name for query in queries for name in _NAME.findall(_without_text(query))}
    assert asked - known == set()
    assert {name for name in known if name.startswith("vllm:")} <= asked


def _without_text(query: str) -> str:
    """Without the values of labels."""
    return re.sub(r'"[^"]*"', '""', query)


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken
                taken.add((x, y))
    assert len({panel["id"] for panel in panels}) == len(panels)
