"""A network in torch as int8 computes it, with everything that finetuning may change as a parameter.

AIMET calls this a quantization simulation. Rounding is simulated in float32: a value is put on its tensor's
grid, a weight on its channel's. Rounding has no gradient; on the way back it counts as the identity
(straight-through, Bengio et al. 2013, https://arxiv.org/abs/1308.3432), and scales learn as in LSQ (Esser et
al. 2020, https://arxiv.org/abs/1902.08153).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edsr_int8.quantization.ir.grid import WIDE_STEPS, WIDER, Grid
from edsr_int8.quantization.ir.layers import (
    IMAGE,
    Add,
    Concat,
    ConstantPlane,
    Conv,
    Layer,
    PixelShuffle,
    Taps,
    output_tensors,
    parts,
)
from edsr_int8.quantization.ir.scale_groups import calibrated, scale_groups
from edsr_int8.quantization.rewrites.channel_transform import channels, linear_bases
from edsr_int8.quantization.scheme import POWER_OF_TWO, SYMMETRIC
from edsr_int8.quantization.simulation.convolved import convolved
from edsr_int8.quantization.simulation.fake_quantize import fake_quantize
from edsr_int8.quantization.simulation.parameters import array_of, constants, key, parameters
from edsr_int8.quantization.simulation.paused import Paused
from edsr_int8.quantization.simulation.rounded_weights import rounded_weights
from edsr_int8.quantization.state import QuantizedNetwork

See = Callable[[str, Tensor], Tensor]  # from a tensor's name and value to the value that goes on in its place


@dataclass(frozen=True)
class Rounding:
    """The tensors whose values, and the convolutions whose weights, are quantized; None: all of them."""

    tensors: frozenset[str] | None = None
    weights: frozenset[str] | None = None


ALL = Rounding()
TENSORS = Rounding(weights=frozenset())
NOTHING = Rounding(frozenset(), frozenset())


class Simulation(nn.Module):
    """float32 NCHW image -> output in grey levels, clipped to 0..255 but not rounded.

    High-precision layers stay in float: an int8 consumer of one reads its value quantized. `unify`: as in
    `scale_groups`, the tensors of a group learn one grid. `.to(device)` moves it; the image must be there.
    """

    def __init__(self, state: QuantizedNetwork, *, unify: bool = False) -> None:
        super().__init__()
        network, grids = state.network, state.grids
        self.state = state
        self.centre = network.centre
        self.symmetric = state.scheme in SYMMETRIC
        self.power_of_two = state.scheme in POWER_OF_TWO
        self.groups = scale_groups(network, unify=unify)
        self.parts = parts(network)
        self.convs = {x.name: x for x in network.layers if isinstance(x, Conv)}
        self.last_consumer = {name: i for i, x in enumerate(network.layers) for name in x.inputs}
        self.clipped = output_tensors(network)
        self.gathers = constants({x.name: x.as_conv().weight for x in network.layers if isinstance(x, Taps)})
        self.expected = constants({n: x.expected for n, x in self.convs.items() if x.expected is not None})
        self.offsets = constants({n: x.offsets for n, x in self.convs.items() if x.carriers > 1})
        self.image_scale = nn.Parameter(torch.ones(1), requires_grad=False)
        self.weights = parameters({n: x.weight for n, x in self.convs.items()})
        self.biases = parameters({n: x.bias for n, x in self.convs.items()})
        self.log_scales = parameters({n: np.log([g.scale]) for n, g in grids.items()})
        self.zero_points = parameters({n: np.array([g.zero_point]) for n, g in grids.items()})
        self.zero_points.requires_grad_(not self.symmetric)
        self.log_gains = parameters(
            {n: np.zeros(len(x.bias)) for n, x in self.convs.items() if not x.linear and n in grids}
        )
        bases = linear_bases(network)
        self.basis_of = {name: i for i, basis in enumerate(bases) for name in basis}
        self.bases = nn.ParameterList(nn.Parameter(torch.eye(channels(network, basis))) for basis in bases)
        self.phases = {x.inputs[0]: x.factor**2 for x in network.layers if isinstance(x, PixelShuffle)}

    def own_log_scales(self) -> dict[str, nn.Parameter]:
        """Of each tensor whose range may change by itself: for all of its group, and for no weight."""
        groups = ((name, self.groups[name]) for name in calibrated(self.state.network))
        own = [name for name, group in groups if group.owner == name and not group.in_weights]
        return {name: self.log_scales[key(name)] for name in own}

    def freeze(self, name: str) -> None:
        """Keep the grid of the tensor `name` as it is."""
        self.log_scales[key(name)].requires_grad_(False)
        self.zero_points[key(name)].requires_grad_(False)

    def forward(
        self, image: Tensor, *, rounding: Rounding = ALL, see: See | None = None, periodic: bool = False
    ) -> Tensor:
        """Quantize what `rounding` names. `see` looks at every tensor before it is quantized.

        `periodic`: of an image that repeats without end, height and width at least half a kernel's.
        """
        return self.resume(replace(self.start(image), periodic=periodic), rounding=rounding, see=see)

    def resume(self, paused: Paused, *, rounding: Rounding = ALL, see: See | None = None) -> Tensor:
        """The output of a pass from where it is paused on, as `forward` gives it; `paused` stays as it is."""
        inverses = self._inverses()
        for _ in range(paused.before, len(self.state.network.layers)):
            paused, value = self._step(paused, inverses, rounding, see)
        return value + self.centre

    def start(self, image: Tensor) -> Paused:
        """A pass before its first layer."""
        # Channels last, as convolutions compute fastest on CPUs; what is computed of it stays so.
        image = image.contiguous(memory_format=torch.channels_last)
        centred = {IMAGE: image - self.centre}
        return Paused(0, centred, centred)

    def step(self, paused: Paused, rounding: Rounding) -> Paused:
        """The same pass one layer later."""
        return self._step(paused, self._inverses(), rounding, None)[0]

    def read(self, conv: Conv, paused: Paused) -> Tensor:
        """The tensor that `conv`, the next layer, reads."""
        high = conv.name in self.state.high_precision
        return (paused.unrounded if high else paused.quantized)[conv.inputs[0]]

    @torch.no_grad()
    def take(self, conv: Conv) -> None:
        """Compute with the weight and the bias of `conv` from now on."""
        for values, array in ((self.weights, conv.weight), (self.biases, conv.bias)):
            values[key(conv.name)].copy_(torch.from_numpy(array))

    def _inverses(self) -> list[Tensor]:
        return [torch.linalg.inv(basis) for basis in self.bases]

    def _step(
        self, paused: Paused, inverses: list[Tensor], rounding: Rounding, see: See | None
    ) -> tuple[Paused, Tensor]:
        """The pass before the next layer, and the value that this one gives."""
        layer = self.state.network.layers[paused.before]
        unrounded, quantized = dict(paused.unrounded), dict(paused.quantized)
        value = self._compute(layer, paused, inverses, rounding)
        value = see(layer.name, value) if see else value
        if isinstance(layer, PixelShuffle):  # moves codes: quantized where its input was
            source = layer.inputs[0]
            alike = unrounded[source] is quantized[source]
            moved = value if alike else functional.pixel_shuffle(quantized[source], layer.factor)
            unrounded[layer.name], quantized[layer.name] = value, moved
        else:
            on_grid = self._quantize(layer, value, rounding)
            quantized[layer.name] = on_grid
            high = layer.name in self.state.high_precision
            unrounded[layer.name] = self._quantize_wide(layer, value, rounding) if high else on_grid
        for name in layer.inputs:  # release a tensor after its last consumer
            if self.last_consumer[name] == paused.before:
                del unrounded[name], quantized[name]
        after = replace(paused, before=paused.before + 1, unrounded=unrounded, quantized=quantized)
        return after, value

    def _compute(self, layer: Layer, paused: Paused, inverses: list[Tensor], rounding: Rounding) -> Tensor:
        unrounded, quantized = paused.unrounded, paused.quantized
        match layer:
            case Conv():
                source = self.read(layer, paused)
                weight, bias = self._weights_now(layer, inverses)
                in_float = layer.name in self.state.in_float
                if not in_float and (rounding.weights is None or layer.name in rounding.weights):
                    expected = self.expected[key(layer.name)] if layer.expected is not None else None
                    scale = self._scale(layer.inputs[0])
                    scale = scale / WIDER if layer.name in self.state.wide else scale
                    weight, bias = rounded_weights(
                        weight, bias, expected, scale, power_of_two=self.power_of_two
                    )
                if layer.carriers > 1 and (rounding.tensors is None or layer.name in rounding.tensors):
                    bias = bias + self.offsets[key(layer.name)] * self._scale(layer.name)
                return self.clip(layer.name, convolved(source, weight, bias, periodic=paused.periodic))
            case Add():
                return unrounded[layer.inputs[0]] + unrounded[layer.inputs[1]]
            case PixelShuffle():
                return functional.pixel_shuffle(unrounded[layer.inputs[0]], layer.factor)
            case Taps():
                weight = self.gathers[key(layer.name)]
                value = convolved(unrounded[layer.inputs[0]], weight, None, periodic=paused.periodic)
                return value + layer.offset
            case Concat():
                return torch.cat([quantized[name] for name in layer.inputs], 1)
            case ConstantPlane():
                image = unrounded[layer.inputs[0]]
                return torch.cat([image, torch.full_like(image[:, :1], layer.value)], 1)
        raise TypeError(f"{layer.name}: {type(layer).__name__} has no integer form; fold it")

    def _quantize(self, layer: Layer, value: Tensor, rounding: Rounding) -> Tensor:
        asked = rounding.tensors is None or layer.name in rounding.tensors
        if not asked or layer.name not in self.state.grids:
            return value
        owner = self.groups[layer.name].owner
        scale = self._grid_scale(owner)
        zero = torch.zeros_like(scale) if self._after_clip(layer.name) else self._zero_point(owner)
        return fake_quantize(value, scale, zero)

    def _quantize_wide(self, layer: Layer, value: Tensor, rounding: Rounding) -> Tensor:
        """Of a high-precision layer: on its 16-bit grid, if it has one."""
        asked = rounding.tensors is None or layer.name in rounding.tensors
        if not asked or layer.name not in self.state.wide or layer.name not in self.state.grids:
            return value
        owner = self.groups[layer.name].owner
        zero = torch.zeros(1) if self._after_clip(layer.name) else self._zero_point(owner).detach().round()
        scale = self._grid_scale(owner).detach() / WIDER
        return fake_quantize(value, scale, 2 * WIDER * zero, codes=WIDE_STEPS)

    def clip(self, name: str, value: Tensor) -> Tensor:
        """What is left of the values of the convolution `name`: of the image, grey levels 0..255."""
        conv = self.convs[name]
        if name in self.clipped:
            return functional.hardtanh(value, -self.centre, 255 - self.centre)
        return value if conv.linear else functional.hardtanh(value, conv.low, conv.high)

    def _grid_scale(self, owner: str) -> Tensor:
        """The scale of now; of powers of two the nearest, and its gradient that of the scale itself."""
        log_scale = self.log_scales[key(owner)]
        if self.power_of_two:
            nearest = torch.round(log_scale.detach() / math.log(2)) * math.log(2)
            log_scale = log_scale + (nearest - log_scale.detach())
        return torch.exp(log_scale)

    def _after_clip(self, name: str) -> bool:
        """Whether a Relu or clip keeps the tensor at or above zero, so that its zero point is 0."""
        return name in self.convs and not self.convs[name].linear and not self.symmetric

    def _zero_point(self, name: str) -> Tensor:
        zero_point: Tensor = self.zero_points[key(name)]
        group = self.groups[name]
        return zero_point.clamp(max=group.max_zero_point) if group.room else zero_point

    def _weights_now(self, conv: Conv, inverses: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Weight and bias in the bases and gains of now, not rounded."""
        weight, bias = self.weights[key(conv.name)], self.biases[key(conv.name)]
        read = [
            self._read(name, weight[:, part], inverses) for name, part in self.parts[conv.inputs[0]].items()
        ]
        weight = torch.cat(read, 1) if len(read) > 1 else read[0]
        if conv.name in self.basis_of:
            weight, bias = self._in_basis(conv.name, weight, bias)
        elif key(conv.name) in self.log_gains:
            gains = torch.exp(self.log_gains[key(conv.name)])
            weight, bias = weight * gains.reshape(-1, 1, 1, 1), bias * gains
        return weight, bias

    def _read(self, name: str, weight: Tensor, inverses: list[Tensor]) -> Tensor:
        """The weights that read the tensor `name`, where it is in the basis or has the gains of now."""
        if name in self.basis_of:
            return torch.einsum("oihw,ij->ojhw", weight, inverses[self.basis_of[name]])
        if key(name) in self.log_gains:
            return weight * torch.exp(-self.log_gains[key(name)]).reshape(1, -1, 1, 1)
        return weight

    def _scale(self, name: str) -> Tensor:
        """Of the grid that the tensor `name` is on; 1 on the image's grid."""
        owner = self.groups[name].owner
        return self._grid_scale(owner).detach() if key(owner) in self.log_scales else self.image_scale

    def _in_basis(self, name: str, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        basis = self.bases[self.basis_of[name]]
        split = (len(basis), self.phases.get(name, 1))
        transformed = torch.einsum("pc,cfihw->pfihw", basis, weight.reshape(*split, *weight.shape[1:]))
        return transformed.reshape(weight.shape), (basis @ bias.reshape(split)).reshape(-1)

    @torch.no_grad()
    def result(self) -> QuantizedNetwork:
        """The network and the grids of now."""
        inverses = [torch.linalg.inv(basis) for basis in self.bases]

        def final(layer: Layer) -> Layer:
            if not isinstance(layer, Conv):
                return layer
            weight, bias = self._weights_now(layer, inverses)
            return replace(layer, weight=array_of(weight), bias=array_of(bias))

        network = self.state.network
        learned = replace(network, layers=tuple(map(final, network.layers)))
        grids = {name: self._grid(name) for name in self.state.grids}
        return replace(self.state, network=learned).on_grids(grids)

    def _grid(self, name: str) -> Grid:
        owner = self.groups[name].owner
        zero = 0 if self._after_clip(name) else int(self._zero_point(owner).round().clamp(0, 255))
        scale = float(self._grid_scale(owner))
        # exp and log of float32 miss a power of two by their last bits.
        return Grid(2.0 ** round(math.log2(scale)) if self.power_of_two else scale, zero)
