"""Float32 convolutions with few channels on one side, as matrix products.

On a GPU cuDNN spends a third of a training step in the first and the last convolution, which read or write
3 channels. One small product for each row of pixels takes a fraction of that, without TF32.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


def convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """What `layer` computes, float32 NCHW, stride 1, zero padding that keeps height and width."""
    gathers = layer.in_channels < layer.out_channels
    output = _gather(layer, x) if gathers else _scatter(layer, x)
    assert layer.bias is not None
    return (output + layer.bias).permute(0, 3, 1, 2)


def _gather(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """NHWC: the pixels around each pixel side by side, times all weights."""
    weight = layer.weight.permute(2, 3, 1, 0).flatten(0, 2)
    around = torch.stack(_shifts(layer, x.permute(0, 2, 3, 1)), 3).flatten(3)
    return _by_rows(around, weight)


def _scatter(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """NHWC: each pixel times all weights, then the sum of what reaches a pixel from those around it."""
    weight = layer.weight.permute(1, 2, 3, 0).flatten(1)
    places = layer.kernel_size[0] * layer.kernel_size[1]
    products = _by_rows(x.permute(0, 2, 3, 1), weight).unflatten(3, (places, -1))
    parts = [part[..., place, :] for place, part in enumerate(_shifts(layer, products))]
    return torch.stack(parts).sum(0)


def _by_rows(pixels: Tensor, weight: Tensor) -> Tensor:
    """pixels @ weight, NHWC. A product for each row: its gradient's sum over pixels then runs in parallel."""
    rows = pixels.flatten(0, 1)
    return torch.bmm(rows, weight.expand(len(rows), -1, -1)).unflatten(0, pixels.shape[:2])


def _shifts(layer: nn.Conv2d, pixels: Tensor) -> list[Tensor]:
    """Of N x H x W x ...: what lies at each place of the kernel around each pixel, 0 outside."""
    (down, across), (height, width) = layer.kernel_size, pixels.shape[1:3]
    border = (across // 2, across // 2, down // 2, down // 2)
    padded = functional.pad(pixels, (*(0, 0) * (pixels.ndim - 3), *border))
    return [padded[:, i : i + height, j : j + width] for i in range(down) for j in range(across)]
