"""How a replica's engine is spread: ranks that share every layer, stages that share the layers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Shape:
    """`tensor` accelerators hold a stage together; `pipeline` stages follow one another."""

    tensor: int = 1
    pipeline: int = 1

    @property
    def accelerators(self) -> int:
        return self.tensor * self.pipeline

    def __str__(self) -> str:
        return f"{self.tensor} x {self.pipeline}"


@dataclass(frozen=True, slots=True)
class Stage:
    """The layers of one stage, and whether it is an end of the pipeline."""

    first_layer: int
    layers: int
    is_first: bool
    is_last: bool

    @property
    def layer_numbers(self) -> range:
        return range(self.first_layer, self.first_layer + self.layers)


def stages(partition: Sequence[int]) -> Iterator[Stage]:
    """The stages of a pipeline with so many layers each."""
    last = len(partition) - 1
    firsts = accumulate(partition, initial=0)
    for index, (first, layers) in enumerate(zip(firsts, partition, strict=False)):
        yield Stage(first, layers, is_first=index == 0, is_last=index == last)


def partition(layers: int, pipeline: int) -> tuple[int, ...]:
    """Layers of each stage (`get_pp_indices`, distributed/utils.py): what is left over goes one
    each to the stages before the last, from the back.
    """
    each, left = divmod(layers, pipeline)
    return tuple(each + (pipeline - 1 - left <= index < pipeline - 1) for index in range(pipeline))
