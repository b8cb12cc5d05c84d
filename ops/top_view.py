"""The live view of a fleet: totals, nodes, models, replicas, the last events. Pure: a look and the
height of the terminal in, something that rich can draw out.

Rules
- What is wrong comes first: replicas that are not ready, then the busiest.
- A table that has more rows than there is room says how many are not shown.
- Text from outside (names, causes) is never markup.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

View = Mapping[str, Any]
"""What `fleet_status` gives."""

#: What titles, headings and blank lines of the parts take.
FRAME_LINES = 14
MIN_ROWS = 3
EVENT_ROWS = 6
BAR_CELLS = 10


def top_view(view: View, height_lines: int) -> Group:
    """Everything at once, as tall as the terminal."""
    room = max(MIN_ROWS, (height_lines - FRAME_LINES - EVENT_ROWS) // 3)
    parts: list[RenderableType] = [
        _totals(view),
        _nodes(view, room),
        _models(view, room),
        _replicas(view, room),
        _events(view["events"][-EVENT_ROWS:]),
        *(Text(note, style="yellow") for note in view["notes"][:MIN_ROWS]),
    ]
    return Group(*parts)


def figures(view: View) -> dict[str, Any]:
    """The same as plain values, for `--json`."""
    return {
        "traffic": view["traffic"],
        "replica_sets": view["replica_sets"],
        "replicas": {
            each["application"]: {"state": each["state"], "load": each["load"]}
            for each in view["replicas"]
        },
        "nodes": _on_nodes(view),
        "notes": view["notes"],
    }


def _totals(view: View) -> Text:
    replicas, traffic = view["replicas"], view["traffic"]
    ready = sum(each["state"] == "ready" for each in replicas)
    said = (
        f"{ready} of {len(replicas)} replicas ready",
        f"{len(view['gateways'])} gateways",
        f"{sum(each['in_flight'] for each in view['gateways'])} in flight",
        f"{sum(each['queued'] for each in view['replica_sets'])} queued",
        f"{sum(map(_requests_per_s, traffic)):.1f} requests/s",
        f"{sum(each['tokens_per_s'] for each in traffic):,.0f} tokens/s",
    )
    return Text(" · ".join(said), style="bold" if ready == len(replicas) else "bold red")


def _requests_per_s(traffic: View) -> float:
    window_s = traffic["window_s"]
    return float(traffic["requests"] / window_s) if window_s else 0.0


def _nodes(view: View, room: int) -> Table:
    table = _table("nodes", "node", "replicas", "stages", "gateways")
    for node, held in _shown(sorted(_on_nodes(view).items()), room, table):
        table.add_row(
            _text(node), *(str(held[name]) for name in ("replicas", "stages", "gateways"))
        )
    return table


def _on_nodes(view: View) -> dict[str, dict[str, int]]:
    """What each node holds; a replica counts where its leader is."""
    leaders = Counter(each["stages"][0] for each in view["replicas"] if each["stages"])
    stages = Counter(node for each in view["replicas"] for node in each["stages"])
    gateways = Counter(each["node"] for each in view["gateways"])
    return {
        node: {"replicas": leaders[node], "stages": stages[node], "gateways": gateways[node]}
        for node in sorted(stages.keys() | gateways.keys())
    }


def _models(view: View, room: int) -> Table:
    """Traffic is of the last minute; running, waiting and queued are of the replicas' set."""
    columns = ("ready", "running", "waiting", "queued", "kv", "requests/s", "tokens/s", "errors")
    table = _table("models", "model", *columns, "first p50", "first p99")
    sets = {each["replica_set"]: each for each in view["replica_sets"]}
    traffic = {each["model"]: each for each in view["traffic"]}
    for model in _shown(view["models"], room, table):
        name = model["name"]
        ready = model["unavailable"] or str(model["ready_replicas"])
        at_once, came = _at_once(sets.get(model["replica_set"])), _came(traffic.get(name))
        table.add_row(*map(_text, (name, ready, *at_once, *came)))
    return table


def _at_once(replicas: View | None) -> tuple[str, ...]:
    if replicas is None:
        return ("",) * 4
    counts = (replicas[name] for name in ("running", "waiting", "queued"))
    return (*map(str, counts), f"{replicas['kv_use']:.0%}")


def _came(traffic: View | None) -> tuple[str, ...]:
    if traffic is None:
        return ("",) * 5
    rates = f"{_requests_per_s(traffic):.1f}", f"{traffic['tokens_per_s']:,.0f}"
    times = (_seconds(traffic[f"first_token_{share}_s"]) for share in ("p50", "p99"))
    return (*rates, str(traffic["errors"] or ""), *times)


def _replicas(view: View, room: int) -> Table:
    table = _table("replicas", "replica", "state", "stages", "running", "waiting", "tokens/s", "kv")
    for replica in _shown(sorted(view["replicas"], key=_urgency), room, table):
        state = Text(replica["state"], style="green" if replica["state"] == "ready" else "red")
        names = _text(replica["application"]), state, _text(" ".join(replica["stages"]))
        table.add_row(*names, *_load(replica["load"]))
    return table


def _urgency(replica: View) -> tuple[bool, float]:
    load = replica["load"] or {}
    return replica["state"] == "ready", -load.get("running", 0) - load.get("waiting", 0)


def _load(load: View | None) -> tuple[str, str, str, Text]:
    if load is None:
        return "", "", "", Text()
    filled = round(BAR_CELLS * min(load["kv_use"], 1.0))
    bar = "█" * filled + "·" * (BAR_CELLS - filled)
    counts = str(load["running"]), str(load["waiting"]), f"{load['tokens_per_s']:,.0f}"
    return *counts, Text(f"{bar} {load['kv_use']:4.0%}")


def _events(events: Sequence[View]) -> Table:
    table = _table("events", "at", "what", "whom", "why")
    for event in events:
        at = datetime.fromtimestamp(event["at_s"], UTC).astimezone()
        table.add_row(
            f"{at:%H:%M:%S}", event["kind"], _text(event["subject"]), _text(event["text"])
        )
    return table


def _shown(rows: Iterable[Any], room: int, table: Table) -> Iterator[Any]:
    every = list(rows)
    yield from every[:room]
    if len(every) > room:
        table.add_row(f"and {len(every) - room} more", style="dim")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, expand=False)
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    return table


def _text(said: str) -> Text:
    return Text(said)


def _seconds(value_s: float | None) -> str:
    return "" if value_s is None else f"{value_s:.2f} s"
