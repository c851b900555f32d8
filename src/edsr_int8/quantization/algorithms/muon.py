"""Muon: gradient descent whose every step changes all directions of a weight matrix alike.

Keller Jordan et al., 2024, https://kellerjordan.github.io/posts/muon. In finetuning, it does in half the
steps what Adam does. torch's own takes matrices only, not the weights of convolutions.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)  # coefficients of the iteration: fast rather than exact, within 0.7..1.2
TINY = 1e-12  # the norm of a gradient that is all zero


class Muon(torch.optim.Optimizer):
    """For weights of two and more dimensions: outputs first, the others flattened.

    The learning rate is the root mean square of a step over a layer's weights, in their own unit.
    """

    def __init__(self, parameters: Iterable[dict[str, Any]]) -> None:
        super().__init__(parameters, {"lr": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    direction = orthogonal(self._ahead(weight, weight.grad).flatten(1))
                    size = group["lr"] * max(direction.shape) ** 0.5
                    weight.sub_(direction.reshape(weight.shape), alpha=size)

    def _ahead(self, weight: Tensor, gradient: Tensor) -> Tensor:
        """The mean gradient, and the gradient of now once more: Nesterov's momentum."""
        if not self.state[weight]:
            self.state[weight]["mean"] = torch.zeros_like(weight)
        mean: Tensor = self.state[weight]["mean"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(mean, MOMENTUM)


def orthogonal(matrix: Tensor) -> Tensor:
    """`matrix` with all its singular values close to 1 (Newton-Schulz), those of 0 apart."""
    a, b, c = QUINTIC
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / (wide.norm() + TINY)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x
