"""Our weights -> the file that the publisher's own code would have saved."""

import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from edsr_int8.checkpoints.sources import SOURCES
from edsr_int8.files import atomic
from edsr_int8.models.description import Description


def write_checkpoint(
    states: Mapping[int, Mapping[str, Tensor]], source: str, description: Description, path: Path
) -> None:
    """Write our state dicts, by scale, in the layout of `source`; equal weights give equal bytes.

    MDSR needs all its scales. The weights are for 0..255 and the mean of `description`.
    """
    foreign = SOURCES[source].to_foreign(states, description)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in foreign.items()}
    buffer = io.BytesIO()  # given a path, torch.save writes the file's name into the file
    torch.save({"params": plain} if source == "basicsr" else plain, buffer)
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
