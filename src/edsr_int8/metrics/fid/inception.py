"""The Inception v3 network of FID: 2048 features of an image.

Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016. Names and widths
are those of torchvision's Inception3 with 1008 classes and no auxiliary head, so that the published weights
load strictly. The weights come from TensorFlow's inception-2015-12-05; so, as in pytorch-fid 0.3.0, average
pools do not count their padding, and the last block pools by maximum.
"""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edsr_int8.errors import InputError
from edsr_int8.files import sha256 as digest_of
from edsr_int8.metrics.fid.frechet import Features

INPUT_SIDE = 299  # pixels: every patch is resized to this


def load_features(weights: Path, *, sha256: str) -> Features:
    """The function uint8 NHWC RGB patches -> float32 [N, 2048] features, with the weights of a file.

    InputError where the file's digest does not begin with `sha256`, or where it holds other weights.
    """
    if not (found := digest_of(weights)).startswith(sha256):
        raise InputError(
            f"{weights}: sha256 is {found[:8]}..., expected {sha256}...; delete it to fetch it again"
        )
    network = inception()
    try:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception:  # another file may lead torch anywhere
        raise InputError(f"{weights}: does not hold the weights of the Inception v3 of FID") from None
    network.fc = nn.Identity()  # the features are the inputs of the classifier
    network.eval()

    def features(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            image = torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 255
            image = functional.interpolate(
                image, (INPUT_SIDE, INPUT_SIDE), mode="bilinear", align_corners=False
            )
            return network(2 * image - 1).numpy()

    return features


class ConvBnRelu(nn.Module):
    """A convolution without bias, batch normalization, ReLU: torchvision's BasicConv2d.

    `kernel` is '1x7', padded so that the size is kept, or '3x3/2', with stride 2 and no padding.
    """

    def __init__(self, inputs: int, outputs: int, kernel: str) -> None:
        super().__init__()
        sides, _, stride = kernel.partition("/")
        height, width = (int(side) for side in sides.split("x"))
        padding = (0, 0) if stride else (height // 2, width // 2)
        self.conv = nn.Conv2d(inputs, outputs, (height, width), int(stride or 1), padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Parallel branches, concatenated.

    A branch is 'step, step, ...'. A step is 'pool' or 'name outputs kernel', or two of the latter in
    parallel, as in 'name outputs kernel | name outputs kernel'.
    """

    def __init__(self, inputs: int, pool: Callable[[Tensor], Tensor], *branches: str) -> None:
        super().__init__()
        self.pool = pool
        self.branches = [self._add_branch(inputs, branch) for branch in branches]

    def _add_branch(self, width: int, branch: str) -> list[list[str]]:
        """Add the branch's convolutions; return their names step by step, none for a pool."""
        steps: list[list[str]] = []
        for step in branch.split(", "):
            layers = [] if step == "pool" else [layer.split() for layer in step.split(" | ")]
            for name, outputs, kernel in layers:
                self.add_module(name, ConvBnRelu(width, int(outputs), kernel))
            steps.append([name for name, _, _ in layers])
            width = sum(int(outputs) for _, outputs, _ in layers) or width
        return steps

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self._run(branch, x) for branch in self.branches], 1)

    def _run(self, branch: list[list[str]], x: Tensor) -> Tensor:
        for names in branch:
            x = torch.cat([self.get_submodule(name)(x) for name in names], 1) if names else self.pool(x)
        return x


def average(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def maximum(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 3, stride=1, padding=1)


def halve(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 3, stride=2)


def inception_a(inputs: int, pooled: int) -> Mixed:
    """At 35x35 pixels; the letters are torchvision's."""
    return Mixed(
        inputs,
        average,
        "branch1x1 64 1x1",
        "branch5x5_1 48 1x1, branch5x5_2 64 5x5",
        "branch3x3dbl_1 64 1x1, branch3x3dbl_2 96 3x3, branch3x3dbl_3 96 3x3",
        f"pool, branch_pool {pooled} 1x1",
    )


def inception_b(inputs: int) -> Mixed:
    """From 35x35 to 17x17 pixels."""
    return Mixed(
        inputs,
        halve,
        "branch3x3 384 3x3/2",
        "branch3x3dbl_1 64 1x1, branch3x3dbl_2 96 3x3, branch3x3dbl_3 96 3x3/2",
        "pool",
    )


def inception_c(width: int) -> Mixed:
    """At 17x17 pixels."""
    return Mixed(
        768,
        average,
        "branch1x1 192 1x1",
        f"branch7x7_1 {width} 1x1, branch7x7_2 {width} 1x7, branch7x7_3 192 7x1",
        f"branch7x7dbl_1 {width} 1x1, branch7x7dbl_2 {width} 7x1, branch7x7dbl_3 {width} 1x7, "
        f"branch7x7dbl_4 {width} 7x1, branch7x7dbl_5 192 1x7",
        "pool, branch_pool 192 1x1",
    )


def inception_d() -> Mixed:
    """From 17x17 to 8x8 pixels."""
    return Mixed(
        768,
        halve,
        "branch3x3_1 192 1x1, branch3x3_2 320 3x3/2",
        "branch7x7x3_1 192 1x1, branch7x7x3_2 192 1x7, branch7x7x3_3 192 7x1, branch7x7x3_4 192 3x3/2",
        "pool",
    )


def inception_e(inputs: int, pool: Callable[[Tensor], Tensor]) -> Mixed:
    """At 8x8 pixels."""
    return Mixed(
        inputs,
        pool,
        "branch1x1 320 1x1",
        "branch3x3_1 384 1x1, branch3x3_2a 384 1x3 | branch3x3_2b 384 3x1",
        "branch3x3dbl_1 448 1x1, branch3x3dbl_2 384 3x3, branch3x3dbl_3a 384 1x3 | branch3x3dbl_3b 384 3x1",
        "pool, branch_pool 192 1x1",
    )


def inception() -> nn.Sequential:
    """float NCHW RGB -1..1 of 299x299 pixels -> 1008 class scores; the last layer takes the 2048 features."""
    layers: dict[str, nn.Module] = {
        "Conv2d_1a_3x3": ConvBnRelu(3, 32, "3x3/2"),
        "Conv2d_2a_3x3": ConvBnRelu(32, 32, "3x3/1"),
        "Conv2d_2b_3x3": ConvBnRelu(32, 64, "3x3"),
        "maxpool1": nn.MaxPool2d(3, 2),
        "Conv2d_3b_1x1": ConvBnRelu(64, 80, "1x1"),
        "Conv2d_4a_3x3": ConvBnRelu(80, 192, "3x3/1"),
        "maxpool2": nn.MaxPool2d(3, 2),
        "Mixed_5b": inception_a(192, 32),
        "Mixed_5c": inception_a(256, 64),
        "Mixed_5d": inception_a(288, 64),
        "Mixed_6a": inception_b(288),
        "Mixed_6b": inception_c(128),
        "Mixed_6c": inception_c(160),
        "Mixed_6d": inception_c(160),
        "Mixed_6e": inception_c(192),
        "Mixed_7a": inception_d(),
        "Mixed_7b": inception_e(1280, average),
        "Mixed_7c": inception_e(2048, maximum),
        "avgpool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(2048, 1008),
    }
    return nn.Sequential(OrderedDict(layers))
