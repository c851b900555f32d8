"""The complete folder that the vendor's compiler takes: everything relative to it, equal bytes every time."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from ruamel.yaml import YAML

from edsr_int8.data.images import read_rgb
from edsr_int8.errors import InputError
from edsr_int8.files import atomic, atomic_folder, link, write_json, write_text
from edsr_int8.progress import bar
from edsr_int8.targets.vacc.bundle.config import (
    CALIBRATION,
    CONFIG,
    DATALIST,
    GRAPH,
    INPUT_KEY,
    INPUTS,
    PREPROCESSING,
    CardModel,
    compile_config,
    preprocessing,
    vamp_command,
)
from edsr_int8.targets.vacc.bundle.graph import card_graph
from edsr_int8.targets.vacc.bundle.inputs import CardInput
from edsr_int8.targets.vacc.bundle.npz import write_npz

README = "README.md"
ABSOLUTE_LIST, OUTPUTS = "npz_datalist_here.txt", "npz_output"


def write_bundle(
    card: CardModel, float_model: Path, calibration: Path, inputs: Sequence[CardInput], out: Path
) -> None:
    """Write compiler's config, graph, calibration images, inputs with their list, preprocessing, README.

    `float_model` is the float graph of grey levels, `calibration` a folder of PNG. InputError where the
    folder is empty or an image does not decode; `out` is left as it was then.
    """
    pictures = sorted(calibration.rglob("*.png"))
    if not pictures:
        raise InputError(f"{calibration}: holds no PNG image; run the stage that selects images first")
    with atomic_folder(out) as folder:
        for i, picture in enumerate(pictures):
            link(picture, folder / CALIBRATION / f"{i:04d}.png")
        for source in bar(inputs, "bundle", unit="image"):
            planes = np.ascontiguousarray(read_rgb(source.path).transpose(2, 0, 1))
            write_npz(folder / _npz(source), INPUT_KEY, planes)
        write_text(folder / DATALIST, "".join(f"{_npz(source)}\n" for source in inputs))
        _write_yaml(folder / CONFIG, compile_config(card, images=len(pictures)))
        write_json(folder / PREPROCESSING, preprocessing(card))
        graph = card_graph(onnx.load(float_model), card)
        (folder / GRAPH).write_bytes(graph.SerializeToString(deterministic=True))
        write_text(folder / README, _readme(card, len(inputs)))


def write_no_bundle(why: str, out: Path) -> None:
    """A folder that only says why there is no bundle."""
    with atomic_folder(out) as folder:
        write_text(folder / README, f"No bundle: {why}\n")


def absolute_list(bundle: Path) -> Path:
    """Write the list that vamp takes, of absolute paths: the one in the bundle would break the cache."""
    lines = (bundle / DATALIST).read_text(encoding="utf-8").splitlines()
    write_text(bundle / ABSOLUTE_LIST, "".join(f"{bundle.resolve() / line}\n" for line in lines))
    return bundle / ABSOLUTE_LIST


def _npz(source: CardInput) -> str:
    return f"{INPUTS}/{source.name}.npz"


def _readme(card: CardModel, images: int) -> str:
    vamp = shlex.join(vamp_command(card, datalist=ABSOLUTE_LIST, outputs=OUTPUTS)).replace("'", '"')
    height, width = card.shape
    scale = "0..1" if card.unit_range else "0..255"
    return f"""# {card.name} for the card

{GRAPH}: RGB {scale} in and out, of {height}x{width} (height x width), enlarged {card.scale} times.
{images} inputs. In this folder, on a machine with the vendor's tools:

    vamc compile {CONFIG}
    mkdir -p {OUTPUTS} && sed "s|^|$PWD/|" {DATALIST} > {ABSOLUTE_LIST}
    {vamp}

Then copy {OUTPUTS}/*.npz back to FOLDER/{card.name}/ and score them: a row of `targets` in params.yaml

    vacc: {{runtime: vacc, outputs: FOLDER, threads: 0, memory_budget_mb: 2048}}

and `dvc repro`.
"""


def _write_yaml(path: Path, value: object) -> None:
    with atomic(path) as temporary:
        yaml = YAML()
        yaml.default_flow_style = False
        yaml.dump(value, temporary)
