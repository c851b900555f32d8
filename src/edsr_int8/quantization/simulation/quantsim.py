"""A network in torch as int8 computes it, with everything that tuning may change as a parameter.

Rounding is simulated in float32: a value is put on its tensor's grid, a weight on its channel's. Rounding
has no gradient; it is taken for the identity on the way back (straight-through, Bengio et al. 2013,
https://arxiv.org/abs/1308.3432), and scales learn as in LSQ (Esser et al. 2020,
https://arxiv.org/abs/1902.08153).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edsr_int8.quantization.calibration.range_estimators import Grid
from edsr_int8.quantization.ir.integer_weights import LARGEST
from edsr_int8.quantization.ir.layers import (
    IMAGE,
    Conv,
    Join,
    Layer,
    Network,
    Plane,
    Shuffle,
    Sum,
    Taps,
    ends_on_image,
    measured,
)
from edsr_int8.quantization.rewrites.channel_transform import channels, linear_bases
from edsr_int8.quantization.rewrites.fold_long_skip import MOST_BELOW, joined, regrid

THREADS = 2  # always: another number would add in another order, and end in other bytes
See = Callable[[str, Tensor], Tensor]  # from a tensor and its name to what goes on in its place


class Simulation(nn.Module):
    """float32 NCHW image -> output in grey levels, clipped to 0..255 but not rounded.

    `grids` of `measured` tensors; `floats` names layers that stay in float: what reads one in int8 reads
    it rounded. `shared`: tensors that take the grid of another. `tensors` and `layers` say whose
    rounding is on, values of these tensors and weights of these convolutions: at first all.
    """

    def __init__(
        self,
        network: Network,
        grids: Mapping[str, Grid],
        *,
        floats: Collection[str] = (),
        shared: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.floats, self.shared = network, frozenset(floats), dict(shared or {})
        self.makers = {x.name: x for x in network.layers}
        self.convs = {x.name: x for x in network.layers if isinstance(x, Conv)}
        self.last_reader = {name: i for i, x in enumerate(network.layers) for name in x.inputs}
        self.clipped = ends_on_image(network)
        self.tensors, self.layers = frozenset(grids), frozenset(self.convs)  # whose rounding is on
        self.gathers = {
            x.name: torch.from_numpy(x.as_conv().weight).float()
            for x in network.layers
            if isinstance(x, Taps)
        }
        self.weights = _parameters({n: x.weight for n, x in self.convs.items()})
        self.biases = _parameters({n: x.bias for n, x in self.convs.items()})
        self.log_scales = _parameters({n: np.log([g.scale]) for n, g in grids.items()})
        self.zero_points = _parameters({n: np.array([g.zero_point]) for n, g in grids.items()})
        self.log_gains = _parameters(
            {n: np.zeros(len(x.bias)) for n, x in self.convs.items() if not x.linear and n in grids}
        )
        # Values of taps do not depend on their grid, so it may move; `result` brings them on it.
        self.joint = joined(network)
        bases = linear_bases(network)
        self.basis_of = {name: i for i, basis in enumerate(bases) for name in basis}
        self.bases = nn.ParameterList(nn.Parameter(torch.eye(channels(network, basis))) for basis in bases)
        self.phases = {x.inputs[0]: x.factor**2 for x in network.layers if isinstance(x, Shuffle)}

    def freeze(self, name: str) -> None:
        """The grid of the tensor `name` learns nothing."""
        self.log_scales[key(name)].requires_grad_(False)
        self.zero_points[key(name)].requires_grad_(False)

    def forward(self, image: Tensor, *, exact: bool = False, see: See | None = None) -> Tensor:
        """`exact`: without any rounding. `see` looks at every tensor before it is rounded."""
        inverses = [torch.linalg.inv(basis) for basis in self.bases]
        whole = {IMAGE: image}  # tensors as they are ...
        coded = {IMAGE: image}  # ... and on their grids
        for i, layer in enumerate(self.network.layers):
            value = self._compute(layer, whole, coded, inverses, exact)
            value = see(layer.name, value) if see else value
            if exact:
                whole[layer.name] = coded[layer.name] = value
            elif isinstance(layer, Shuffle):  # moves what was rounded before
                whole[layer.name] = value
                coded[layer.name] = functional.pixel_shuffle(coded[layer.inputs[0]], layer.factor)
            else:
                coded[layer.name] = self._round(layer, value)
                whole[layer.name] = value if layer.name in self.floats else coded[layer.name]
            for name in layer.inputs:  # a tensor that nothing else reads is let go
                if self.last_reader[name] == i:
                    del whole[name], coded[name]
        return value

    def _compute(
        self,
        layer: Layer,
        whole: Mapping[str, Tensor],
        coded: Mapping[str, Tensor],
        inverses: list[Tensor],
        exact: bool,
    ) -> Tensor:
        match layer:
            case Conv():
                source = (whole if layer.name in self.floats else coded)[layer.inputs[0]]
                weight, bias = self.convolution(layer, inverses, rounded=not exact)
                value = functional.conv2d(source, weight, bias, padding=[n // 2 for n in weight.shape[2:]])
                if layer.name in self.clipped:
                    return value.clamp(0, 255)
                return value if layer.linear else value.clamp(layer.low, layer.high)
            case Sum():
                return whole[layer.inputs[0]] + whole[layer.inputs[1]]
            case Shuffle():
                return functional.pixel_shuffle(whole[layer.inputs[0]], layer.factor)
            case Taps():
                weight, padding = self.gathers[layer.name], [n // 2 for n in layer.kernel]
                value = functional.conv2d(whole[layer.inputs[0]], weight, padding=padding)
                return value - layer.scale * layer.zero_point
            case Join():
                return torch.cat([coded[name] for name in layer.inputs], 1)
            case Plane():
                image = whole[layer.inputs[0]]
                return torch.cat([image, torch.full_like(image[:, :1], layer.value)], 1)
        raise TypeError(f"{layer.name}: {type(layer).__name__} has no integer form; fold it")

    def _round(self, layer: Layer, value: Tensor) -> Tensor:
        if layer.name not in self.tensors:
            return value
        name = self.shared.get(layer.name, layer.name)
        above_zero = layer.name in self.convs and not self.convs[layer.name].linear
        zero = torch.zeros(1) if above_zero else self._zero_point(name)
        scale = torch.exp(self.log_scales[key(name)])
        return torch._fake_quantize_learnable_per_tensor_affine(value, scale, zero, 0, 255, 1.0)

    def _zero_point(self, name: str) -> Tensor:
        zero_point: Tensor = self.zero_points[key(name)]
        return zero_point.clamp(max=MOST_BELOW) if name == self.joint else zero_point

    def convolution(self, conv: Conv, inverses: list[Tensor], *, rounded: bool) -> tuple[Tensor, Tensor]:
        """Weight and bias in the bases and gains of now."""
        weight, bias = self.weights[key(conv.name)], self.biases[key(conv.name)]
        source = conv.inputs[0]
        maker = self.makers.get(source)
        mixed = maker.inputs[0] if isinstance(maker, Join) else source
        if mixed in self.basis_of:  # of a join, the first channels
            inverse = inverses[self.basis_of[mixed]]
            own, rest = weight.tensor_split([len(inverse)], dim=1)
            weight = torch.cat([torch.einsum("oihw,ij->ojhw", own, inverse), rest], 1)
        elif key(source) in self.log_gains:
            weight = weight * torch.exp(-self.log_gains[key(source)]).reshape(1, -1, 1, 1)
        if conv.name in self.basis_of:
            weight, bias = self._in_basis(conv.name, weight, bias)
        elif key(conv.name) in self.log_gains:
            gains = torch.exp(self.log_gains[key(conv.name)])
            weight, bias = weight * gains.reshape(-1, 1, 1, 1), bias * gains
        if rounded and conv.name in self.layers and conv.name not in self.floats:
            return _rounded(weight, bias, conv.expected, self._scale(source))
        return weight, bias

    def _scale(self, name: str) -> Tensor:
        """Of the grid that the tensor `name` is on; a shuffle's or join's is its input's, an image's 1."""
        while isinstance(maker := self.makers.get(name), Shuffle | Plane | Join):
            name = maker.inputs[0]
        name = self.shared.get(name, name)
        known = key(name) in self.log_scales
        return torch.exp(self.log_scales[key(name)]).detach() if known else torch.ones(1)

    def _in_basis(self, name: str, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        basis = self.bases[self.basis_of[name]]
        split = (len(basis), self.phases.get(name, 1))
        mixed = torch.einsum("pc,cfihw->pfihw", basis, weight.reshape(*split, *weight.shape[1:]))
        return mixed.reshape(weight.shape), (basis @ bias.reshape(split)).reshape(-1)

    @torch.no_grad()
    def result(self) -> tuple[Network, dict[str, Grid]]:
        """The network and the grids of now; taps are on theirs."""
        inverses = [torch.linalg.inv(basis) for basis in self.bases]

        def final(layer: Layer) -> Layer:
            if not isinstance(layer, Conv):
                return layer
            weight, bias = self.convolution(layer, inverses, rounded=False)
            return replace(layer, weight=weight.double().numpy(), bias=bias.double().numpy())

        layers = tuple(map(final, self.network.layers))
        grids = {n: self._grid(n) for n in measured(self.network)}
        return regrid(replace(self.network, layers=layers), grids), grids

    def _grid(self, name: str) -> Grid:
        source = self.shared.get(name, name)
        above_zero = name in self.convs and not self.convs[name].linear
        zero = 0 if above_zero else int(self._zero_point(source).round().clamp(0, 255))
        return Grid(float(torch.exp(self.log_scales[key(source)])), zero)


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, value: Tensor, step: Tensor) -> Tensor:
        return (value / step).round_().mul_(step)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def _rounded(
    weight: Tensor, bias: Tensor, expected: np.ndarray | None, input_scale: Tensor
) -> tuple[Tensor, Tensor]:
    """As weights.round_conv does it."""
    step = (weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True) / LARGEST).clamp(min=1e-12)
    rounded: Tensor = _Round.apply(weight, step)
    if expected is not None:
        error = (rounded.detach() - weight.detach()).sum(dim=(2, 3))
        bias = bias - error @ torch.from_numpy(expected).float()
    return rounded, _Round.apply(bias, step.reshape(-1) * input_scale)


def _parameters(values: Mapping[str, np.ndarray]) -> nn.ParameterDict:
    tensors = {key(name): torch.from_numpy(np.array(value, np.float32)) for name, value in values.items()}
    return nn.ParameterDict({name: nn.Parameter(tensor) for name, tensor in tensors.items()})


def key(name: str) -> str:
    """A tensor's name as torch's containers take it."""
    return name.replace(".", "/")
