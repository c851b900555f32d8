"""Our weights -> the file that a publisher's own code would have saved."""

import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from edsr_int8.checkpoints.sources import SOURCES
from edsr_int8.files import atomic
from edsr_int8.models.description import Description


def write_checkpoint(state: Mapping[str, Tensor], source: str, description: Description, path: Path) -> None:
    """Write our state dict under the names of `source`, on the CPU; equal weights give equal bytes."""
    write_foreign(SOURCES[source].to_foreign(state, description), source, path)


def write_foreign(foreign: Mapping[str, Tensor], source: str, path: Path) -> None:
    """Write a state dict that already has the names of `source`."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in foreign.items()}
    buffer = io.BytesIO()  # given a path, torch.save writes the file's name into the file
    torch.save({"params": plain} if source == "basicsr" else plain, buffer)
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
