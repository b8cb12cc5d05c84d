"""The live view of a fleet: totals, nodes, models, replicas, the last events. Pure: two looks and
the height of the terminal in, something that rich can draw out.

Rules
- What is wrong comes first: replicas that are not ready, then the busiest.
- A table that has more rows than there is room says how many are not shown.
- Text from outside (names, causes) is never markup.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ops.pace import Pace, View, pace_of

#: What titles, headings and blank lines of the parts take.
FRAME_LINES = 14
MIN_ROWS = 3
EVENT_ROWS = 6
BAR_CELLS = 10


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen, and how long after the look before."""

    view: View
    before: View | None = None
    elapsed_s: float = 0.0

    def pace(self, replica_set: str | None = None) -> Pace:
        return pace_of(replica_set, self.before, self.view, self.elapsed_s)


def top_view(look: Look, height_lines: int) -> Group:
    """Everything at once, as tall as the terminal."""
    room = max(MIN_ROWS, (height_lines - FRAME_LINES - EVENT_ROWS) // 3)
    parts: list[RenderableType] = [
        _totals(look),
        _nodes(look.view, room),
        _models(look, room),
        _replicas(look.view, room),
        _events(look.view["events"][-EVENT_ROWS:]),
        *(Text(note, style="yellow") for note in look.view["notes"][:MIN_ROWS]),
    ]
    return Group(*parts)


def figures(look: Look) -> dict[str, Any]:
    """The same as plain values, for `--json`."""
    models = {model["name"]: model["replica_set"] for model in look.view["models"]}
    return {
        "all": _figures(look.pace()),
        "models": {name: _figures(look.pace(each)) for name, each in models.items()},
        "replicas": {
            each["application"]: {"state": each["state"], "load": each["load"]}
            for each in look.view["replicas"]
        },
        "nodes": _on_nodes(look.view),
        "notes": look.view["notes"],
    }


def _figures(pace: Pace) -> dict[str, Any]:
    return {name: getattr(pace, name) for name in Pace.__slots__}


def _totals(look: Look) -> Text:
    replicas, pace = look.view["replicas"], look.pace()
    ready = sum(each["state"] == "ready" for each in replicas)
    in_flight = sum(each["in_flight"] for each in look.view["gateways"])
    said = (
        f"{ready} of {len(replicas)} replicas ready",
        f"{len(look.view['gateways'])} gateways",
        f"{in_flight} in flight",
        f"{pace.queued} queued",
        f"{pace.requests_per_s:.1f} requests/s",
        f"{pace.tokens_per_s:,.0f} tokens/s",
    )
    return Text(" · ".join(said), style="bold" if ready == len(replicas) else "bold red")


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


def _models(look: Look, room: int) -> Table:
    columns = ("ready", "running", "waiting", "queued", "requests/s", "tokens/s")
    table = _table("models", "model", *columns, "kv", "first p50", "first p99")
    for model in _shown(look.view["models"], room, table):
        pace = look.pace(model["replica_set"])
        ready = model["unavailable"] or str(model["ready_replicas"])
        counts = (pace.running, pace.waiting, pace.queued)
        rates = f"{pace.requests_per_s:.1f}", f"{pace.tokens_per_s:,.0f}"
        times = _seconds(pace.first_token_p50_s), _seconds(pace.first_token_p99_s)
        row = (ready, *map(str, counts), *rates, f"{pace.kv_use:.0%}", *times)
        table.add_row(*map(_text, (model["name"], *row)))
    return table


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
