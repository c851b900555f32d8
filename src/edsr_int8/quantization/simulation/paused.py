"""A forward pass that stopped between two layers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Paused:
    """A forward pass before one of the layers, and the tensors that are still to be read."""

    before: int  # index of the layer
    unrounded: Mapping[str, Tensor]  # as high-precision consumers read them ...
    quantized: Mapping[str, Tensor]  # ... and as int8 consumers do
    periodic: bool = False  # whether the image repeats beyond its border, or there are zeros

    def first(self, count: int) -> "Paused":
        """Of the first `count` images alone."""
        kept = {id(x): x[:count] for x in (*self.unrounded.values(), *self.quantized.values())}
        unrounded, quantized = (
            {n: kept[id(x)] for n, x in each.items()} for each in (self.unrounded, self.quantized)
        )
        return replace(self, unrounded=unrounded, quantized=quantized)
