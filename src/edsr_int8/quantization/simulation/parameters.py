"""Arrays as parameters of a torch module, by the names of tensors, and back."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn


def parameters(values: Mapping[str, np.ndarray]) -> nn.ParameterDict:
    tensors = {key(name): torch.from_numpy(np.array(value, np.float32)) for name, value in values.items()}
    return nn.ParameterDict({name: nn.Parameter(tensor) for name, tensor in tensors.items()})


def constants(values: Mapping[str, np.ndarray]) -> nn.ParameterDict:
    """Parameters that never learn: they move to a device with the others."""
    return parameters(values).requires_grad_(False)


def array_of(value: Tensor) -> np.ndarray:
    """float64, from any device."""
    array: np.ndarray = value.double().cpu().numpy()
    return array


def key(name: str) -> str:
    """A tensor's name as torch's containers take it."""
    return name.replace(".", "/")
