"""The complete folder that the vendor's compiler takes: relative paths, and equal bytes every time."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from edsr_int8.data.images import read_rgb
from edsr_int8.errors import InputError
from edsr_int8.files import atomic_folder, link, write_json, write_text
from edsr_int8.onnx_file import read_onnx
from edsr_int8.progress import bar
from edsr_int8.targets.vacc.bundle.config import (
    CALIBRATION,
    CONFIG,
    DATALIST,
    GRAPH,
    INPUT_KEY,
    INPUTS,
    PREPROCESSING,
    AcceleratorModel,
    compile_config,
    preprocessing,
    vamp_command,
)
from edsr_int8.targets.vacc.bundle.graph import accelerator_graph
from edsr_int8.targets.vacc.bundle.inputs import AcceleratorInput
from edsr_int8.targets.vacc.bundle.npz import write_npz

README = "README.md"
ABSOLUTE_LIST, OUTPUTS = "npz_datalist_here.txt", "npz_output"


def write_bundle(
    model: AcceleratorModel,
    float_model: Path,
    calibration: Path,
    inputs: Sequence[AcceleratorInput],
    out: Path,
) -> None:
    """Write to `out` the compiler's config, graph, calibration images, inputs, preprocessing and README.

    `float_model` is the float graph of grey levels, `calibration` a folder of PNG images. InputError: that
    folder is empty, or an image does not decode; `out` then stays as it was.
    """
    pictures = sorted(calibration.rglob("*.png"))
    if not pictures:
        raise InputError(f"{calibration}: holds no PNG image; run the stage model_images first")
    with atomic_folder(out) as folder:
        for i, picture in enumerate(pictures):
            link(picture, folder / CALIBRATION / f"{i:04d}.png")
        for source in bar(inputs, "bundle", unit="image"):
            planes = np.ascontiguousarray(read_rgb(source.path).transpose(2, 0, 1))
            write_npz(folder / _npz(source), INPUT_KEY, planes)
        write_text(folder / DATALIST, "".join(f"{_npz(source)}\n" for source in inputs))
        config = compile_config(model, images=len(pictures))
        write_text(folder / CONFIG, yaml.safe_dump(config, sort_keys=False))
        write_json(folder / PREPROCESSING, preprocessing(model))
        graph = accelerator_graph(read_onnx(float_model).graph, model)
        (folder / GRAPH).write_bytes(graph.SerializeToString(deterministic=True))
        write_text(folder / README, _readme(model, len(inputs)))


def write_no_bundle(why: str, out: Path) -> None:
    """Write a folder whose README says why there is no bundle."""
    with atomic_folder(out) as folder:
        write_text(folder / README, f"No bundle: {why}\n")


def absolute_list(bundle: Path) -> Path:
    """Write the list of absolute paths that vamp wants. The bundle's own is relative: it must not change."""
    lines = (bundle / DATALIST).read_text(encoding="utf-8").splitlines()
    write_text(bundle / ABSOLUTE_LIST, "".join(f"{bundle.resolve() / line}\n" for line in lines))
    return bundle / ABSOLUTE_LIST


def _npz(source: AcceleratorInput) -> str:
    return f"{INPUTS}/{source.name}.npz"


def _readme(model: AcceleratorModel, images: int) -> str:
    vamp = shlex.join(vamp_command(model, datalist=ABSOLUTE_LIST, outputs=OUTPUTS)).replace("'", '"')
    height, width = model.shape
    scale = "0..1" if model.unit_range else "0..255"
    return f"""# {model.name} for the VACC accelerator

{GRAPH}: RGB {scale} in and out; {height}x{width} (height x width) in, {model.scale} times as much out.
{images} inputs. In this folder, on a machine with the vendor's tools:

    vamc compile {CONFIG}
    mkdir -p {OUTPUTS} && sed "s|^|$PWD/|" {DATALIST} > {ABSOLUTE_LIST}
    {vamp}

Then copy {OUTPUTS}/*.npz back to FOLDER/{model.name}/ and score them: a row of `targets` in params.yaml

    vacc: {{runtime: vacc, outputs: FOLDER, threads: 0, memory_budget_mb: 2048}}

and `dvc repro`.
"""
