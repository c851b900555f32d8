"""Values on a grid, and the gradients of value, scale and zero point, beside torch's own."""

import pytest
import torch
from torch import Tensor

from edsr_int8.quantization.simulation.fake_quantize import fake_quantize


def gradients(quantize: object, scale: float, zero_point: float) -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(0)
    value = (40 * torch.randn(2, 5, 6, 7, generator=random)).requires_grad_()
    grid = torch.tensor([scale], requires_grad=True), torch.tensor([zero_point], requires_grad=True)
    quantized = quantize(value, *grid)  # type: ignore[operator]
    quantized.backward(torch.randn(quantized.shape, generator=random))
    found = (quantized.detach(), value.grad, grid[0].grad, grid[1].grad)
    assert all(each is not None for each in found)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(("scale", "zero_point"), [(0.3, 128.2), (0.05, 7.0), (3.0, 0.0), (0.4, 270.0)])
def test_values_and_gradients_are_those_of_torch(scale: float, zero_point: float) -> None:
    """torch's function is private, and takes seven times as long."""

    def of_torch(value: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
        return torch._fake_quantize_learnable_per_tensor_affine(value, scale, zero_point, 0, 255, 1.0)

    ours, theirs = gradients(fake_quantize, scale, zero_point), gradients(of_torch, scale, zero_point)
    for found, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_codes_of_16_bits() -> None:
    value = torch.tensor([-1.0, 0.00004, 5.0, 100.0])
    found = fake_quantize(value, torch.tensor([1e-4]), torch.tensor([0.0]), codes=65535)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 5.0, 6.5535]))
