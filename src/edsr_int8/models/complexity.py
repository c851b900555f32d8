"""The cost of a network, counted from its description: parameters, multiply-accumulates, FLOPs."""

from collections.abc import Iterator
from dataclasses import dataclass

from edsr_int8.models.description import Description

PRE_BLOCKS = 2  # MDSR: residual blocks before the body, own to each scale
PRE_KERNEL = 5  # of their convolutions


@dataclass(frozen=True)
class Convolution:
    """One square convolution with a bias; its input is `resolution` times as high and wide as the image."""

    name: str
    inputs: int
    outputs: int
    kernel: int = 3
    resolution: int = 1

    @property
    def weights(self) -> int:
        return self.kernel**2 * self.inputs * self.outputs

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of its two tensors: weight (OIHW) and bias."""
        return {
            f"{self.name}.weight": (self.outputs, self.inputs, self.kernel, self.kernel),
            f"{self.name}.bias": (self.outputs,),
        }


def upsample_factors(scale: int) -> tuple[int, ...]:
    """The factors of the PixelShuffles, which multiply up to `scale`: a power of 2 goes in steps of 2."""
    return {1: (), 2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}[scale]


def convolutions(description: Description) -> Iterator[Convolution]:
    """Every convolution of the network, in the order in which they run."""
    d, f = description, description.features
    yield Convolution("head", 3, f)
    for k in range(PRE_BLOCKS if d.network == "mdsr" else 0):
        yield from (Convolution(f"pre.{k}.{half}", f, f, PRE_KERNEL) for half in ("conv1", "conv2"))
    for i in range(d.blocks):
        yield from (Convolution(f"body.{i}.{half}", f, f) for half in ("conv1", "conv2"))
    yield Convolution("body_end", f, f)
    resolution = 1
    for step, factor in enumerate(upsample_factors(d.scale) if d.upsampler == "pixelshuffle" else ()):
        yield Convolution(f"upsample.{step}", f, f * factor**2, resolution=resolution)
        resolution *= factor
    yield Convolution("tail", f, 3 * d.scale**2 if d.upsampler == "direct" else 3, resolution=resolution)


def parameters(description: Description) -> int:
    """How many weights and biases there are; the mean is no parameter."""
    return sum(c.weights + c.outputs for c in convolutions(description))


def macs_per_pixel(description: Description) -> int:
    """Multiply-accumulates of all convolutions for each pixel of the input image; a bias costs none."""
    return sum(c.weights * c.resolution**2 for c in convolutions(description))


def gmacs(description: Description, height: int, width: int) -> float:
    """Multiply-accumulates, in 1e9, for an input image of `height` x `width` pixels."""
    return macs_per_pixel(description) * height * width / 1e9


def card_flops_g(description: Description, height: int, width: int) -> float:
    """The model card's "FLOPs(G)" for an input image of `height` x `width` pixels.

    2 x MACs / 0.9e9, where MACs counts one more addition for each output element, the bias. The divisor
    is the model card's own: with 0.9e9 every figure that it prints comes out, with 1e9 none.
    """
    macs = sum((c.weights + c.outputs) * c.resolution**2 for c in convolutions(description))
    return 2 * macs * height * width / 0.9e9
