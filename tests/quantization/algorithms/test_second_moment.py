"""Second moments of windows against their definition, on images of all shapes up to less than a kernel."""

import numpy as np
import pytest
import torch

from edsr_int8.quantization.algorithms.second_moment import second_moment


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("shape", [(2, 2, 3, 4), (3, 2, 9, 7), (1, 3, 1, 1), (2, 1, 2, 6)])
def test_second_moment_by_hand(shape: tuple[int, ...], kernel: int) -> None:
    value = np.random.default_rng(0).integers(-9, 10, shape).astype(np.float32)
    reach = kernel // 2
    padded = np.pad(value, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))  # N C H W k k
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, shape[1] * kernel**2).astype(np.float64)
    found = second_moment(torch.from_numpy(value), (kernel, kernel))
    np.testing.assert_allclose(found, rows.T @ rows / len(rows))
