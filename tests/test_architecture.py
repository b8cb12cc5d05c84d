"""The structure that the design promises, read from the source: import direction, purity, who may
import what.
"""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cluster", "serving", "deployments", "ops")
MAY_IMPORT = {
    "cluster": {"cluster"},
    "serving": {"serving"},
    "deployments": {"deployments", "cluster", "serving"},
    "ops": set(PACKAGES),
}
#: Values in, values out: clock, dice and the outside world are parameters.
PURE = (
    "serving/snapshot.py",
    "serving/quarantine.py",
    "serving/registry.py",
    "serving/restarts.py",
    "serving/context.py",
    "serving/controller_handle.py",
    "serving/in_flight.py",
    "serving/counts.py",
    "serving/errors.py",
    "serving/histogram.py",
    "serving/money.py",
    "serving/keys.py",
    "serving/limits",
    "serving/metrics/exposition.py",
    "serving/metrics/families.py",
    "serving/metrics/token.py",
    "serving/fairness",
    "serving/usage.py",
    "serving/bounds.py",
    "serving/gateway/answers.py",
    "serving/gateway/ask.py",
    "serving/gateway/config.py",
    "serving/gateway/counting.py",
    "serving/gateway/in_flight.py",
    "serving/gateway/limiter.py",
    "serving/gateway/openapi.py",
    "serving/gateway/own_usage.py",
    "serving/gateway/patience.py",
    "serving/gateway/scope.py",
    "serving/protocol",
    "serving/routing",
    "serving/replica/crash_loop.py",
    "serving/replica/spec.py",
    "serving/replica/tally.py",
    "serving/replica/watched.py",
    "cluster/accelerator.py",
    "cluster/architecture.py",
    "cluster/checking",
    "cluster/fence.py",
    "cluster/fit.py",
    "cluster/fitting",
    "cluster/draft.py",
    "cluster/head_recovery.py",
    "cluster/inherited.py",
    "cluster/inventory.py",
    "cluster/inventory_rules.py",
    "cluster/lambda_instances.py",
    "cluster/login.py",
    "cluster/manifest.py",
    "cluster/node_facts.py",
    "cluster/placement.py",
    "cluster/placing",
    "cluster/preflight.py",
    "cluster/problem.py",
    "cluster/ray_start.py",
    "cluster/ray_up.py",
    "cluster/shape.py",
    "cluster/ssh_config.py",
    "cluster/ssh_inventory.py",
    "cluster/ssh_lines.py",
    "cluster/unit.py",
    "deployments/arbitration.py",
    "deployments/autoscale.py",
    "deployments/cordon.py",
    "deployments/counts.py",
    "deployments/demand.py",
    "deployments/figures.py",
    "deployments/calibration.py",
    "deployments/engine_batch.py",
    "deployments/event.py",
    "deployments/roofline.py",
    "deployments/simulation",
    "deployments/deployed.py",
    "deployments/model.py",
    "deployments/fleet.py",
    "deployments/dashboard.py",
    "deployments/front_door.py",
    "deployments/gateways.py",
    "deployments/inventory_text.py",
    "deployments/readings.py",
    "deployments/reconcile.py",
    "deployments/rules.py",
    "deployments/render.py",
    "deployments/steps.py",
    "deployments/held.py",
    "deployments/ledger/acts.py",
    "deployments/ledger/day.py",
    "deployments/ledger/lines.py",
    "deployments/ledger/questions.py",
    "deployments/ledger/settle.py",
    "deployments/ledger/trust.py",
    "deployments/order.py",
    "deployments/recent.py",
    "deployments/need.py",
    "deployments/observation.py",
    "deployments/plan.py",
    "deployments/pool.py",
    "deployments/price.py",
    "deployments/running.py",
    "deployments/scaling_state.py",
    "deployments/schema.py",
    "deployments/scrape_targets.py",
    "deployments/sizing.py",
    "deployments/suggest.py",
    "deployments/suspect.py",
    "deployments/terms.py",
    "deployments/weight_files.py",
    "deployments/weights.py",
    "ops/dashboard/deed.py",
    "ops/dashboard/door.py",
    "ops/dashboard/facts.py",
    "ops/dashboard/html",
    "ops/dashboard/view",
    "ops/dashboard/wanted.py",
    "ops/conversation.py",
    "ops/fleet_bench/baseline.py",
    "ops/fleet_bench/load.py",
    "ops/fleet_bench/point.py",
    "ops/fleet_bench/trace_prompt.py",
    "ops/onramp.py",
    "ops/top_view.py",
    "ops/bench/routers/engine.py",
    "ops/advisories/verdict.py",
    "ops/bench/routers/metrics.py",
    "ops/bench/routers/outcome.py",
    "ops/bench/routers/prefix_cache.py",
    "ops/bench/routers/question.py",
    "ops/bench/routers/report.py",
    "ops/bench/routers/service.py",
    "ops/bench/routers/trace.py",
    "ops/docs/table.py",
    "ops/docs/wording.py",
)
IMPURE = {"ray", "vllm", "asyncio", "time", "random", "os", "logging", "socket", "subprocess"}
RAY_IMPORTERS = (
    "serving/replica",
    "serving/gateway/deployment.py",
    "deployments/ingress.py",
    "deployments/ray_nodes.py",
    "ops/controller_client.py",
    "ops/dashboard/deployment.py",
    "ops/bench",
)
#: Elsewhere nobody speaks SQL.
SQL_IMPORTERS = ("deployments/ledger",)
SERVE_API = '"/api/serve'


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def offenders(wanted: set[str], allowed: tuple[str, ...]) -> list[str]:
    return [
        f"{relative(path)} imports {module}"
        for path in sources()
        if not relative(path).startswith(allowed)
        for module in imports(path)
        if module.split(".")[0] in wanted
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    wrong = [
        f"{relative(path)} imports {module}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for module in imports(path)
        if module.split(".")[0] in set(PACKAGES) - MAY_IMPORT[package]
    ]
    assert wrong == []


def test_only_the_replica_package_imports_vllm() -> None:
    assert offenders({"vllm"}, ("serving/replica", "deployments/demo", "ops/bench")) == []


def test_ray_is_imported_in_few_named_files() -> None:
    assert offenders({"ray"}, RAY_IMPORTERS) == []


def test_sql_is_spoken_in_the_ledger_alone() -> None:
    assert offenders({"sqlalchemy", "alembic", "psycopg", "sqlite3"}, SQL_IMPORTERS) == []


def test_nobody_imports_rays_private_modules() -> None:
    private = [
        f"{relative(path)} imports {module}"
        for path in sources()
        for module in imports(path)
        if module.startswith(("ray._", "ray.serve._"))
    ]
    assert private == []


def test_pure_modules_know_no_clock_no_dice_and_no_outside() -> None:
    impure = [
        f"{relative(path)} imports {module}"
        for path in sources()
        if relative(path).startswith(PURE)
        for module in imports(path)
        if module.split(".")[0] in IMPURE
    ]
    assert impure == []


def test_every_pure_module_that_is_named_here_exists() -> None:
    assert [name for name in PURE if not (ROOT / name).exists()] == []


def test_one_module_talks_to_serves_control_api() -> None:
    users = [
        relative(path)
        for path in sources()
        if SERVE_API in path.read_text() and not relative(path).startswith("ops/bench")
    ]
    assert users == ["deployments/serve_control.py"]


def test_nothing_is_pickled_onto_a_socket() -> None:
    assert offenders({"pickle", "cloudpickle", "marshal", "shelve"}, ()) == []


def test_files_and_functions_stay_small(capsys: pytest.CaptureFixture[str]) -> None:
    files = [len(path.read_text().splitlines()) for path in sources()]
    functions = sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    ninetieth = functions[int(0.9 * len(functions))]
    with capsys.disabled():
        print(
            f"\n{len(files)} files, median {statistics.median(files):.0f} lines; "
            f"{len(functions)} functions, median {statistics.median(functions):.0f}, "
            f"p90 {ninetieth}"
        )
    assert max(files) <= 400
    assert statistics.median(functions) <= 9
    assert ninetieth <= 30
