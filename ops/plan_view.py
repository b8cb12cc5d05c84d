"""A plan for a terminal and for machines. Shows and decides nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from string import ascii_letters, digits
from typing import Any

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cluster.accelerator import GIB
from cluster.fit import Fit
from cluster.problem import Problem
from deployments.fleet import Fleet
from deployments.model import Served, Shared, Unavailable
from deployments.need import Need
from deployments.plan import Action, Plan, Verb
from deployments.suggest import Suggestion

#: Sign and colour of what a plan does; the sign says it without the colour.
SIGNS: Mapping[Verb, tuple[str, str]] = {
    Verb.START: ("+", "green"),
    Verb.STOP: ("-", "red"),
    Verb.RESIZE: ("~", "yellow"),
    Verb.CHANGE: ("~", "yellow"),
    Verb.MOVE: (">", "cyan"),
    Verb.KEEP: ("=", "dim"),
    Verb.BLOCKED: ("!", "bold red"),
}
#: A model's mark on the map; beyond that many they repeat, and the legend lists them in order.
MARKS = ascii_letters[26:] + ascii_letters[:26] + digits
COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_red", "bright_cyan", "white")
FREE = "·"
#: Of a plan that goes into a file, a pipe or a page.
FILE_COLUMNS = 132
#: Columns that are never broken over lines.
FIXED = ("model", "replica", "action", "node", "nodes", "window", "shape")


@dataclass(frozen=True, slots=True)
class Asides:
    """What is said of a plan beside what it says itself."""

    #: With file and line.
    blocked: tuple[Problem, ...]
    notes: tuple[str, ...]


def view(fleet: Fleet, plan: Plan, hints: list[Suggestion], asides: Asides) -> RenderableType:
    """Everything, in the order in which it is read: what, how, where, what is wrong."""
    parts: list[RenderableType] = [_models(fleet, plan), "", _actions(plan), "", cluster_map(plan)]
    parts += [Text(note, style="yellow") for note in [*asides.notes, *plan.notes]]
    parts += [_titled("blocked", asides.blocked), _titled("would make it fit (tried)", hints)]
    return Group(*parts, "", Text(summary(plan), style="bold"))


def text_of(fleet: Fleet, plan: Plan, hints: list[Suggestion], asides: Asides) -> str:
    """The same without colours."""
    console = Console(file=StringIO(), width=FILE_COLUMNS, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(view(fleet, plan, hints, asides))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _titled(title: str, lines: Sequence[object]) -> RenderableType:
    """A heading and what stands under it; nothing without lines."""
    if not lines:
        return Group()
    return Group("", Text(title, style="bold"), *(Text(f"  {line}") for line in lines))


def summary(plan: Plan) -> str:
    """One line: how many of each action, and what stays free."""
    counts = Counter(action.verb for action in plan.actions)
    done = ", ".join(f"{count} {verb}" for verb in Verb if (count := counts[verb]))
    total, used = _total(plan), sum(len(marks) for marks in _cells(plan).values())
    return f"{done or 'nothing to do'}; {total - used} of {total} accelerators stay free"


def cluster_map(plan: Plan) -> RenderableType:
    """Nodes as rows, accelerators as cells, a letter and a colour for each model."""
    marks = _marks(plan)
    rows = _table("node", "address", "accelerators", "")
    cells = _cells(plan)
    for node in plan.inventory.nodes:
        held = plan.inventory.accelerators_of(node)
        row = Text()
        for model in cells.get(node.name, ()):
            row.append(*marks[model])
        row.append(FREE * (held.count - len(row)), "dim")
        rows.add_row(node.name, node.address, f"{held.count} x {held.kind}", row)
    legend = [Text(f"{mark} {model}", colour) for model, (mark, colour) in marks.items()]
    return Group(rows, Columns([*legend, Text(f"{FREE} free", "dim")], padding=(0, 2)))


def _models(fleet: Fleet, plan: Plan) -> Table:
    table = _table(
        "model", "window", "shape", "replicas", "weights", "KV tokens", "longest", "at once", ""
    )
    for number in range(1, 8):
        table.columns[number].justify = "right"
    for name, model in fleet.models.items():
        match model:
            case Served():
                table.add_row(name, *_served(plan.needs[name], model))
            case Shared():
                row = [f"{model.max_model_len:,}", *[""] * 6, f"served by {model.replicas_of}"]
                table.add_row(name, *row)
            case Unavailable():
                table.add_row(name, *[""] * 7, "unavailable")
    return table


def _served(need: Need, model: Served) -> list[str]:
    """Figures of one replica: weights of an accelerator, tokens of KV cache, whole windows."""
    shape = [f"{model.max_model_len:,}", f"{model.tensor} x {model.pipeline}", str(need.replicas)]
    fit = need.fit
    if fit is None:
        verdict = "does not fit" if need.fits else "not checked"
        return [*shape, *[""] * 4, verdict]
    at_once = f"{fit.sequences_at(model.max_model_len):.1f}"
    weights = f"{fit.weight_bytes / GIB:.1f} GiB"
    return [*shape, weights, f"{fit.kv_tokens:,}", f"{fit.longest_context_tokens:,}", at_once]


def _actions(plan: Plan) -> Table:
    table = _table("", "action", "replica", "nodes", "why")
    for action, more in _rows(plan):
        sign, colour = SIGNS[action.verb]
        replica = f"{action.replica} and {more} more" if more else action.replica
        why = "see below" if action.verb is Verb.BLOCKED else action.reason
        table.add_row(sign, action.verb, replica, _nodes(action), why, style=colour)
    return table


def _rows(plan: Plan) -> Iterator[tuple[Action, int]]:
    """Every action, but the blocked replicas of a model as one with how many more there are."""
    yield plan.clients, 0
    yield plan.dashboard, 0
    blocked = Counter(action.model for action in plan.blocked)
    for action in plan.actions:
        if action.verb is not Verb.BLOCKED:
            yield action, 0
        elif more := blocked.pop(action.model, 0):
            yield action, more - 1


def _nodes(action: Action) -> str:
    now, was = " ".join(action.nodes), " ".join(action.was)
    return f"{was} -> {now}" if action.verb is Verb.MOVE else now or was


def _cells(plan: Plan) -> dict[str, list[str]]:
    """The model on each accelerator in use, by node, models together."""
    cells: dict[str, list[str]] = {}
    for action in plan.actions:
        for node in action.nodes:
            cells.setdefault(node, []).extend([action.model] * action.shape.tensor)
    order = list(plan.needs)
    return {node: sorted(models, key=order.index) for node, models in cells.items()}


def _marks(plan: Plan) -> dict[str, tuple[str, str]]:
    models = dict.fromkeys(model for cells in _cells(plan).values() for model in cells)
    ordered = [model for model in plan.needs if model in models]
    return {
        model: (MARKS[at % len(MARKS)], COLOURS[at % len(COLOURS)])
        for at, model in enumerate(ordered)
    }


def _total(plan: Plan) -> int:
    return sum(plan.inventory.accelerators_of(node).count for node in plan.inventory.nodes)


def as_json(plan: Plan, hints: list[Suggestion], asides: Asides) -> dict[str, Any]:
    """The plan as plain values."""
    return {
        "inventory": plan.inventory.name,
        "blocked": bool(plan.blocked),
        "models": [_need_json(need) for need in plan.needs.values()],
        "clients": _action_json(plan.clients),
        "dashboard": _action_json(plan.dashboard),
        "actions": [_action_json(action) for action in plan.actions],
        "nodes": list(_nodes_json(plan)),
        "suggestions": [{"model": hint.model, "change": hint.change} for hint in hints],
        "problems": [str(problem) for problem in asides.blocked],
        "notes": [*asides.notes, *plan.notes],
    }


def _action_json(action: Action) -> dict[str, Any]:
    return {
        "action": action.verb.value,
        "replica": action.replica,
        "model": action.model,
        "nodes": list(action.nodes),
        "was": list(action.was),
        "reason": action.reason,
    }


def _nodes_json(plan: Plan) -> Iterator[dict[str, Any]]:
    cells = _cells(plan)
    for node in plan.inventory.nodes:
        held = plan.inventory.accelerators_of(node)
        used = cells.get(node.name, [])
        yield {
            "name": node.name,
            "address": node.address,
            "kind": held.kind,
            "accelerators": held.count,
            "free": held.count - len(used),
            "cells": [*used, *[None] * (held.count - len(used))],
        }


def _need_json(need: Need) -> dict[str, Any]:
    fit = need.fit
    return {
        "model": need.model,
        "also": list(need.also),
        "tensor": need.shape.tensor,
        "pipeline": need.shape.pipeline,
        "window_tokens": need.settings.window_tokens,
        "replicas": need.replicas,
        "facts": need.facts.origin,
        "fit": None if fit is None else _fit_json(fit, need.settings.window_tokens),
        "refusals": list(need.refusals),
    }


def _fit_json(fit: Fit, window_tokens: int) -> dict[str, Any]:
    return {
        "weight_bytes": fit.weight_bytes,
        "reserve_bytes": fit.reserve_bytes,
        "kv_bytes": fit.kv_bytes,
        "kv_tokens": fit.kv_tokens,
        "longest_context_tokens": fit.longest_context_tokens,
        "sequences_at_window": fit.sequences_at(window_tokens),
    }


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in FIXED)
    return table
