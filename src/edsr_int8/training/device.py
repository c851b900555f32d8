"""How batches reach the device that trains, and how a GPU runs a step without waiting for the CPU."""

import importlib.util
import shutil
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from edsr_int8.data.images import Image

Backward = Callable[[Tensor, Tensor], Tensor]  # (low, high) uint8 NHWC -> the loss; sets the gradients
WARM_UPS = 3  # passes before a recording, in which libraries choose kernels and take their memory


def moved(images: Image, device: str) -> Tensor:
    """uint8 NHWC on `device`; the copy to a GPU overlaps with its work."""
    tensor = torch.from_numpy(np.ascontiguousarray(images))
    return tensor.pin_memory().to(device, non_blocking=True) if device != "cpu" else tensor


def can_compile() -> bool:
    """Whether torch.compile can write kernels for a GPU here; a step takes a third longer without them."""
    compiler = any(shutil.which(name) for name in ("cc", "gcc", "clang"))
    return compiler and importlib.util.find_spec("triton") is not None


def as_image(pixels: Tensor) -> Tensor:
    """uint8 NHWC -> float32 NCHW; memory stays channels last, the faster order for convolutions."""
    return pixels.permute(0, 3, 1, 2).float()


class Replayed:
    """`backward` as a CUDA graph: its 500 kernels start with one call, so that the GPU never waits.

    One graph for each shape of batch, recorded when the shape first comes. A graph writes its loss and its
    gradients to the same memory every time; the next call overwrites them.
    """

    def __init__(self, backward: Backward, parameters: Sequence[nn.Parameter]) -> None:
        self.backward, self.parameters = backward, parameters
        self.graphs: dict[tuple[int, ...], Recording] = {}

    def __call__(self, low: Tensor, high: Tensor) -> Tensor:
        shape = (*low.shape, *high.shape)
        if shape not in self.graphs:
            self.graphs[shape] = Recording(self.backward, self.parameters, low, high)
        return self.graphs[shape].replay(low, high)


class Recording:
    """The graph of one shape, and the memory that it reads and writes."""

    def __init__(
        self, backward: Backward, parameters: Sequence[nn.Parameter], low: Tensor, high: Tensor
    ) -> None:
        self.parameters, self.low, self.high = parameters, low.clone(), high.clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                backward(self.low, self.high)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss = backward(self.low, self.high)
        self.gradients = [parameter.grad for parameter in parameters]

    def replay(self, low: Tensor, high: Tensor) -> Tensor:
        self.low.copy_(low)
        self.high.copy_(high)
        self.graph.replay()
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient  # of another scale's branch: none
        return self.loss
