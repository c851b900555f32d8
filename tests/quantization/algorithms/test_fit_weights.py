"""Fitted weights against least squares by hand, and what they are worth on an input with noise."""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from edsr_int8.quantization.algorithms import fit_weights
from edsr_int8.quantization.algorithms.fit_weights import Windows, fitted, windows


def rows(value: torch.Tensor, kernel: int) -> np.ndarray:
    """Every window of NCHW `value`, padded with zeros: windows x inputs."""
    reach = kernel // 2
    padded = np.pad(value.numpy(), ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    return seen.transpose(0, 2, 3, 1, 4, 5).reshape(-1, value.shape[1] * kernel**2).astype(np.float64)


def noisy(kernel: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The wanted input, the same with noise, and weights (OIHW)."""
    random = torch.Generator().manual_seed(0)
    value = torch.randn(20, 3, 9, 7, generator=random) + 1
    now = value + 0.5 * torch.randn(value.shape, generator=random) + 0.1
    return value, now, torch.randn(2, 3, kernel, kernel, generator=random)


def in_halves(now: torch.Tensor, missed: torch.Tensor, kernel: int) -> list[Windows]:
    return [windows(now[i::2], missed[i::2], (kernel, kernel)) for i in range(2)]


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_fitted_weights_are_the_least_squares_answer(kernel: int) -> None:
    """Each crop weighed by the inverse of its error: solved by numpy, window by window."""
    value, now, weight = noisy(kernel)
    missed = conv2d(value - now, weight, padding=kernel // 2)
    errors = missed.square().mean((1, 2, 3)).double()
    root = (1 / (errors + 0.1 * errors.mean())).sqrt().repeat_interleave(9 * 7).numpy()[:, None]
    inputs = np.concatenate([rows(now, kernel), np.ones((len(root), 1))], 1)
    lost = missed.permute(0, 2, 3, 1).reshape(len(root), -1).double().numpy()
    change = np.linalg.lstsq(inputs * root, lost * root, rcond=None)[0]
    flat, bias = weight.double().flatten(1), torch.tensor([3.0, 4.0]).double()
    found, shifted = fitted(flat, bias, [windows(now, missed, (kernel, kernel))] * 2)
    np.testing.assert_allclose(found - flat, change[:-1].T, atol=1e-3)
    np.testing.assert_allclose(shifted - bias, change[-1], atol=1e-3)


def test_output_is_nearer_to_the_wanted_one() -> None:
    value, now, weight = noisy(3)
    wanted = conv2d(value, weight, padding=1)
    halves = in_halves(now, wanted - conv2d(now, weight, padding=1), 3)
    found, bias = fitted(weight.double().flatten(1), torch.zeros(2).double(), halves)
    better = conv2d(now, found.float().reshape(weight.shape), bias.float(), padding=1)
    assert (better - wanted).square().mean() < 0.8 * (conv2d(now, weight, padding=1) - wanted).square().mean()


def test_nothing_missed_changes_nothing() -> None:
    _, now, weight = noisy(3)
    flat, bias = weight.double().flatten(1), torch.ones(2).double()
    found, shifted = fitted(flat, bias, in_halves(now, torch.zeros(20, 2, 9, 7), 3))
    assert torch.equal(found, flat) and torch.equal(shifted, bias)


@pytest.mark.parametrize("grey", [0.0, 200.0])
def test_input_without_variance_moves_the_bias_alone(grey: float) -> None:
    now, missed = torch.full((4, 3, 8, 8), grey), torch.full((4, 2, 8, 8), 0.5)
    found, bias = fitted(torch.ones(2, 3).double(), torch.zeros(2).double(), in_halves(now, missed, 1))
    torch.testing.assert_close(found, torch.ones(2, 3).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        found @ torch.full((3,), grey).double() - 3 * grey + bias, torch.full((2,), 0.5).double()
    )


def test_one_crop_that_is_far_off_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    value, now, weight = noisy(1)
    now[0] = 30 * torch.randn(now[0].shape, generator=torch.Generator().manual_seed(1))
    wanted = conv2d(value, weight)

    def error() -> float:
        """On the other crops."""
        halves = in_halves(now, wanted - conv2d(now, weight), 1)
        found, bias = fitted(weight.double().flatten(1), torch.zeros(2).double(), halves)
        output = conv2d(now, found.float().reshape(weight.shape), bias.float())
        return float((output - wanted)[1:].square().mean())

    by_logarithm = error()
    monkeypatch.setattr(fit_weights, "EVEN", 1e9)  # every crop counts the same
    assert by_logarithm < 0.8 * error()


def test_what_serves_one_half_of_the_crops_alone_is_not_learned() -> None:
    _, now, weight = noisy(3)
    missed = conv2d(now, weight, padding=1)
    missed[1::2] *= -1
    flat = weight.double().flatten(1)
    assert torch.equal(fitted(flat, torch.zeros(2).double(), in_halves(now, missed, 3))[0], flat)


def test_one_crop_alone_moves_the_bias() -> None:
    value, now, weight = noisy(1)
    seen = windows(now[:1], conv2d(value - now, weight)[:1], (1, 1))
    flat = weight.double().flatten(1)
    found, bias = fitted(flat, torch.zeros(2).double(), [seen])
    assert torch.equal(found, flat) and bias.all()
