"""What one replica is made of: the value that travels in a Serve application's `args`. A change of
it is a restart.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Device = Literal["gpu", "cpu"]
#: What an engine argument may be: a flag, a number, text, several of these, or an object that vLLM
#: takes as JSON.
EngineValue = bool | int | float | str | tuple[int | float | str, ...] | Mapping[str, Any]

#: What Ray calls an accelerator. A CPU-only node has no GPU to count, so its slots are a resource
#: of our own.
ACCELERATOR_RESOURCES: Mapping[Device, str] = {"gpu": "GPU", "cpu": "slot"}


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """One engine with all its stages."""

    #: The Serve application, `<replica_set>.<n>`.
    application: str
    #: The model whose replicas these are; other models may share them.
    replica_set: str
    #: The name the engine puts into `model` of its replies.
    served_name: str
    #: An absolute path on every node, or a Hugging Face id, which is looked for under `roots`.
    source: str
    window_tokens: int
    #: Accelerators of one stage, all on one node.
    tensor: int
    #: Stages.
    pipeline: int
    device: Device
    #: vLLM arguments beyond those that Flotilla sets, names in snake_case.
    engine: tuple[tuple[str, EngineValue], ...]
    #: How long a stopping replica may finish what it has.
    grace_s: int
    #: Folders with weights as `<organisation>/<name>`, in the order in which a node looks; those
    #: that it does not have are passed over. None where no inventory says any.
    roots: tuple[str, ...] = ()

    def stage_resources(self) -> dict[str, float]:
        """What one stage holds of a node; also the bundle of its placement group."""
        return {ACCELERATOR_RESOURCES[self.device]: float(self.tensor)}

    def to_args(self) -> dict[str, Any]:
        """As JSON values, for the Serve application's `args`."""
        engine = {
            name: list(value) if isinstance(value, tuple) else value for name, value in self.engine
        }
        return {**asdict(self), "engine": engine, "roots": list(self.roots)}

    @classmethod
    def from_args(cls, args: Mapping[str, Any]) -> "ReplicaSpec":
        """The reverse of `to_args`, also after a trip through JSON."""
        engine = tuple(
            (name, tuple(value) if isinstance(value, list) else value)
            for name, value in args["engine"].items()
        )
        return cls(**{**args, "engine": engine, "roots": tuple(args.get("roots", ()))})
