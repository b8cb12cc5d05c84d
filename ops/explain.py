"""One model's arithmetic, line by line: what it weighs, what is left for requests, which shapes
would do, where it goes and why. Shows and decides nothing.
"""

from collections.abc import Iterator

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cluster.accelerator import GIB, Accelerator
from cluster.fit import Fit, Misfit, Shape, fit
from cluster.problem import nearest
from deployments.catalogue import entry
from deployments.fleet import Fleet
from deployments.model import Shared, Unavailable
from deployments.need import Need
from deployments.plan import Plan
from deployments.suggest import PIPELINES, TENSORS, Situation, Suggestion

#: Lengths of requests that people ask about.
CONTEXTS_TOKENS = (2048, 8192, 32768, 131072)


def explained(
    situation: Situation, plan: Plan, hints: list[Suggestion], name: str
) -> RenderableType:
    """Everything about one model. Raises click.UsageError for a name that is none."""
    owner = _owner(situation.fleet, name)
    need = plan.needs[owner]
    parts: list[RenderableType] = [*_head(situation.fleet, need)]
    for accelerator, found in need.fits.items():
        parts += ["", *_arithmetic(accelerator, found, need)]
        parts += ["", _shapes(need, accelerator)]
    parts += ["", *_places(plan, owner)]
    parts += [Text(f"would help: {hint.change}") for hint in hints if hint.model == owner]
    return Group(*parts)


def _owner(fleet: Fleet, name: str) -> str:
    """The model whose replicas answer for a name, which may be an alias."""
    ids = {alias: model for model, each in fleet.models.items() for alias in each.aliases}
    found = ids.get(name, name)
    match fleet.models.get(found):
        case None:
            known = [*fleet.models, *ids]
            raise click.UsageError(f"there is no model `{name}` in it{nearest(name, known)}")
        case Shared(replicas_of=owner):
            return owner
        case Unavailable(unavailable=reason):
            raise click.UsageError(f"{found} is not served: {reason}")
        case _:
            return found


def _head(fleet: Fleet, need: Need) -> Iterator[RenderableType]:
    names = ", ".join(
        f"{name} (window {fleet.models[name].max_model_len:,})"  # type: ignore[union-attr]
        for name in (need.model, *need.also)
    )
    yield Text(names, style="bold")
    yield f"facts from {need.facts.origin}"
    architecture = need.facts.architecture
    if architecture is not None:
        billions = architecture.parameters / 1e9
        window = f"{architecture.window_tokens:,} tokens"
        yield f"{architecture.model_class}, {billions:.2f} billion parameters, window {window}"
    known = entry(need.model)
    if known is not None:
        yield f"licence: {known.licence}{', gated on its hub' if known.is_gated else ''}"
        yield from known.notes


def _arithmetic(
    accelerator: Accelerator, found: Fit | Misfit, need: Need
) -> Iterator[RenderableType]:
    memory = f"{accelerator.memory_bytes / GIB:.1f} GiB"
    yield Text(f"{need.shape} on {accelerator.kind} ({memory} each)", style="bold")
    if isinstance(found, Misfit):
        yield from (Text(f"  does not fit: {reason}", style="red") for reason in found.reasons)
        return
    for number, stage in enumerate(found.stages):
        weights = f"{stage.weight_bytes / GIB:.2f} GiB of weights on each accelerator"
        layers = f"  stage {number}: {stage.layers} layers, {weights}"
        yield f"{layers}, {stage.kv_bytes_per_token:,} bytes of KV cache a token"
    yield f"  {found.reserve_bytes / GIB:.2f} GiB for the engine itself (assumed, not measured)"
    yield (
        f"  {found.kv_bytes / GIB:.2f} GiB of KV cache on each = {found.kv_tokens:,} tokens; "
        f"longest context {found.longest_context_tokens:,}"
    )
    window = need.settings.window_tokens
    lengths = sorted({*(each for each in CONTEXTS_TOKENS if each < window), window})
    at_once = ", ".join(f"{found.sequences_at(each):.1f} of {each:,}" for each in lengths)
    yield f"  requests at once: {at_once}"
    yield from (f"  {note}" for note in found.notes)


def _shapes(need: Need, accelerator: Accelerator) -> RenderableType:
    """What other shapes would give."""
    table = Table(box=None, pad_edge=False, title="shapes", title_justify="left")
    for column in ("tensor x pipeline", "accelerators", "weights", "KV tokens", "at once", ""):
        table.add_column(column, overflow="fold")
    for pipeline in PIPELINES:
        for tensor in TENSORS:
            shape = Shape(tensor, pipeline)
            row = _shape_row(need, shape, accelerator)
            table.add_row(str(shape), str(shape.accelerators), *row)
    return table


def _shape_row(need: Need, shape: Shape, accelerator: Accelerator) -> list[str]:
    if need.facts.architecture is None:
        return []
    found = fit(need.facts.architecture, shape, need.settings, accelerator)
    mark = "<- this fleet" if shape == need.shape else ""
    if isinstance(found, Misfit):
        return ["", "", "", "; ".join(filter(None, [mark, *found.reasons]))]
    at_once = f"{found.sequences_at(need.settings.window_tokens):.1f}"
    return [f"{found.weight_bytes / GIB:.1f} GiB", f"{found.kv_tokens:,}", at_once, mark]


def _places(plan: Plan, model: str) -> Iterator[RenderableType]:
    for action in plan.actions:
        if action.model == model:
            nodes = " ".join(action.nodes or action.was) or "nowhere"
            yield Text(f"{action.verb} {action.replica} on {nodes}: {action.reason}")
