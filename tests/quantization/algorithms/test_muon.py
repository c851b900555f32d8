"""Muon: which way it steps, and how far."""

import pytest
import torch

from edsr_int8.quantization.algorithms.muon import MOMENTUM, Muon, orthogonal


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 6)])
def test_singular_values_come_near_one_and_their_directions_stay(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ orthogonal(matrix) @ right.T
    values = turned.diagonal()
    assert values.min() > 0.6 and values.max() < 1.3
    assert (turned - torch.diag(values)).abs().max() < 1e-4


def test_nothing_comes_of_no_gradient() -> None:
    assert not orthogonal(torch.zeros(3, 5)).any()


def test_rate_is_the_root_mean_square_of_a_step() -> None:
    weight = torch.nn.Parameter(torch.zeros(16, 4, 3, 3))
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    Muon([{"params": [weight], "lr": 0.5}]).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.5, rel=0.15)


def test_steps_are_those_of_torch() -> None:
    """On a matrix, but for torch's bfloat16 and its own unit of a rate: a fifth of ours."""
    random = torch.Generator().manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.zeros(12, 30)) for _ in range(2))
    settings = {"lr": 0.5, "weight_decay": 0.0, "momentum": MOMENTUM, "adjust_lr_fn": "match_rms_adamw"}
    optimizers = Muon([{"params": [ours], "lr": 0.1}]), torch.optim.Muon([theirs], **settings)
    for _ in range(4):
        gradient = torch.randn(12, 30, generator=random)
        for weight, optimizer in zip((ours, theirs), optimizers, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    difference = (ours - theirs).detach().square().mean().sqrt()
    assert float(difference) < 0.02 * float(theirs.detach().square().mean().sqrt())


def test_a_valley_a_thousand_times_as_steep_as_long_is_walked_in_few_steps() -> None:
    """The least of |A(w - w*)|^2 where A has singular values from 1 to 1,000."""
    random = torch.Generator().manual_seed(0)
    turns = torch.linalg.qr(torch.randn(8, 8, generator=random))[0]
    steep = turns @ torch.diag(torch.logspace(0, 3, 8)) @ turns.T
    goal = torch.randn(8, 8, generator=random)
    weight = torch.nn.Parameter(torch.zeros(8, 8))
    muon = Muon([{"params": [weight], "lr": 0.0}])
    for step in range(400):
        muon.param_groups[0]["lr"] = 0.1 * (1 - step / 400)
        weight.grad = None
        (steep @ (weight - goal)).square().sum().backward()
        muon.step()
    assert float((weight.detach() - goal).square().mean().sqrt()) < 0.1
