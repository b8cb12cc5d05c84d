"""Rules between the models of a fleet. Pure: problems in, nothing raised, so that all are reported
at once.

Rules
1. A name (id or alias) means one model.
2. A fallback is the id of another servable model with a larger window; so a chain of them ends.
3. Replicas are shared with the model that owns them, never through a third, and no window is larger
   than theirs.
4. A model with replicas gives its name to Serve applications, log files and URLs, so it has no `/`
   and no `:`.
5. On CPU an engine is told its memory: vLLM would take a share of the machine's.
6. The planner can read those engine settings that decide what memory holds.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from cluster.errors import SettingsUnknown
from cluster.fit import engine_settings
from cluster.problem import Path, Problem, nearest
from deployments.model import Model, Served, Shared, Unavailable
from serving.replica.spec import Device


def problems(
    models: Mapping[str, Model], device: Device, broken: Collection[str] = ()
) -> list[Problem]:
    """All that is wrong between models; `broken` ones have been reported already."""
    rules = Rules(models, frozenset(broken))
    found: list[Problem] = [*rules.names()]
    for name, model in models.items():
        at: Path = ("models", name)
        if isinstance(model, Served):
            found += [*_application(at, name), *_cpu(at, model, device), *_spread(at, model)]
            found += _settings(at, model)
        if isinstance(model, Shared):
            found += rules.sharing(at, model)
        if not isinstance(model, Unavailable):
            found += rules.fallback(at, name, model)
    return found


class Rules:
    """The rules that need to look at other models."""

    def __init__(self, models: Mapping[str, Model], broken: frozenset[str]) -> None:
        self._models = models
        self._broken = broken
        self._alias_of = {alias: name for name, model in models.items() for alias in model.aliases}

    def names(self) -> Iterator[Problem]:
        """Rule 1."""
        given = Counter([*self._models, *self._broken])
        for model in self._models.values():
            given.update(model.aliases)
        for name, model in self._models.items():
            for index, alias in enumerate(model.aliases):
                if given[alias] > 1:
                    path: Path = ("models", name, "aliases", index)
                    yield Problem(path, f"the name `{alias}` is given more than once")

    def sharing(self, at: Path, model: Shared) -> Iterator[Problem]:
        """Rule 3."""
        path: Path = (*at, "replicas_of")
        owner = self._models.get(model.replicas_of)
        match owner:
            case None if model.replicas_of not in self._broken:
                yield Problem(path, self._no_model(model.replicas_of))
            case Shared():
                yield Problem(path, f"has no replicas of its own; name `{owner.replicas_of}`")
            case Unavailable():
                yield Problem(path, f"`{model.replicas_of}` is not servable")
            case Served() if model.max_model_len > owner.max_model_len:
                window = f"{model.max_model_len} is more than the {owner.max_model_len}"
                yield Problem((*at, "max_model_len"), f"{window} of `{model.replicas_of}`")

    def fallback(self, at: Path, name: str, model: Served | Shared) -> Iterator[Problem]:
        """Rule 2."""
        if model.fallback is None or model.fallback in self._broken:
            return
        path: Path = (*at, "fallback")
        target = self._models.get(model.fallback)
        match target:
            case None:
                yield Problem(path, self._no_model(model.fallback))
            case Unavailable():
                yield Problem(path, f"`{model.fallback}` is not servable")
            case _ if model.fallback == name:
                yield Problem(path, "is the model itself")
            case Served() | Shared() if target.max_model_len <= model.max_model_len:
                smaller = f"its window of {target.max_model_len} is not larger"
                yield Problem(path, f"{smaller} than {model.max_model_len}")

    def _no_model(self, name: str) -> str:
        if name in self._alias_of:
            return f"`{name}` is an alias; name the model, `{self._alias_of[name]}`"
        return f"there is no model `{name}`{nearest(name, self._models)}"


def _application(at: Path, name: str) -> Iterator[Problem]:
    """Rule 4."""
    if "/" in name or ":" in name:
        yield Problem(at, "has replicas, so its name has no `/` or `:`; make this name an alias")


def _cpu(at: Path, model: Served, device: Device) -> Iterator[Problem]:
    """Rule 5."""
    if device != "cpu":
        return
    if not {"kv_cache_memory_bytes", "gpu_memory_utilization"} & set(model.engine):
        yield Problem((*at, "engine"), "on CPU it needs `kv_cache_memory_bytes`, such as 512M")


def _settings(at: Path, model: Served) -> Iterator[Problem]:
    """Rule 6."""
    try:
        engine_settings(model.max_model_len, model.engine)
    except SettingsUnknown as unknown:
        yield Problem((*at, "engine"), str(unknown))


def _spread(at: Path, model: Served) -> Iterator[Problem]:
    if model.stage_placement == "spread" and model.pipeline == 1:
        yield Problem((*at, "stage_placement"), "has nothing to spread with `pipeline: 1`")
