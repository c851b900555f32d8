"""The images that the accelerator runs on, and the order in which its outputs come back."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edsr_int8.data.images import Image
from edsr_int8.errors import InputError
from edsr_int8.targets.vacc.bundle.config import OUTPUT_KEY, AcceleratorModel
from edsr_int8.targets.vacc.bundle.npz import read_npz


@dataclass(frozen=True)
class AcceleratorInput:
    name: str  # card/<data set>/<image>, without a suffix
    path: Path


def accelerator_inputs(images: Path, datasets: Iterable[str]) -> list[AcceleratorInput]:
    """Every degraded image in `images`/card/<data set>/lr, in the order of the data sets, then by name."""
    found = []
    for dataset in datasets:
        folder = images / "card" / dataset / "lr"
        names = sorted(p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.png"))
        found += [AcceleratorInput(f"card/{dataset}/{name}", folder / f"{name}.png") for name in names]
    return found


def output_files(folder: Path, inputs: Sequence[AcceleratorInput]) -> list[Path]:
    """The outputs in the order of `inputs`: vamp numbers them by the line of its list, from 0.

    InputError: there are more or fewer of them than inputs, or a number is missing.
    """
    files = sorted(folder.glob("*.npz"), key=_number)  # 10 after 9, with leading zeros or without
    if len(files) != len(inputs):
        raise InputError(
            f"{folder}: holds {len(files)} .npz outputs for {len(inputs)} inputs; "
            "copy vamp's whole --path_output there"
        )
    for i, file in enumerate(files):
        if _number(file) != i:
            raise InputError(f"{file}: expected output {i} of 0 to {len(files) - 1}; copy them again")
    return files


def _number(file: Path) -> int:
    """The number at the end of a file's name; -1 where there is none."""
    found = re.search(r"\d+$", file.stem)
    return int(found.group()) if found else -1


def read_output(path: Path, model: AcceleratorModel) -> Image:
    """One output as uint8 HWC RGB, clipped and rounded as other targets do. InputError: it does not fit."""
    planes = read_npz(path, OUTPUT_KEY).astype(np.float64)
    planes = planes.reshape(planes.shape[-3:]) if planes.ndim == 4 and len(planes) == 1 else planes
    expected = (3, *(model.scale * length for length in model.shape))
    if planes.shape != expected:
        raise InputError(f"{path}: {OUTPUT_KEY} has shape {planes.shape}, expected {expected}")
    grey = planes * 255 if model.unit_range else planes
    if not np.isfinite(grey).all():
        raise InputError(f"{path}: {OUTPUT_KEY} holds NaN or infinity; run vamp again")
    return np.ascontiguousarray(np.rint(grey.clip(0, 255)).astype(np.uint8).transpose(1, 2, 0))
