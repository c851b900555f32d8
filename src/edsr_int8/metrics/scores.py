"""Everything that is said of one build: its facts, the scores of its images, the crops for the page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from edsr_int8.checkpoints.facts import NetworkFacts
from edsr_int8.data.images import Image, write_png
from edsr_int8.files import read_json
from edsr_int8.metrics.evaluate import Folders, evaluate
from edsr_int8.metrics.fid.distance import Distance
from edsr_int8.metrics.fid.frechet import Fid
from edsr_int8.metrics.page_crops import crops
from edsr_int8.metrics.protocols import PROTOCOLS
from edsr_int8.models.complexity import card_flops_g, gmacs

NATIVE, CARD = "evaluation", "card"  # sub-folders: images at their own shape, and at the card's fixed one


def build_facts(network: NetworkFacts, model: Path, shape: tuple[int, int]) -> dict[str, Any]:
    """Parameters, operations for an image of `shape` (height, width), and bytes of the ONNX file `model`.

    And, as quantize noted in the file, the shares of MACs and activation bytes above 8 bits: 1 of fp32.
    """
    height, width = shape
    noted = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    otherwise = 0.0 if noted.get("precision") else 1.0
    return {
        "float_mac_share": float(noted.get("float_mac_share", otherwise)),
        "float_byte_share": float(noted.get("float_byte_share", otherwise)),
        "params": network.params,
        "gmacs": gmacs(network, height, width),
        "card_flops_g": card_flops_g(network, height, width),
        "model_bytes": model.stat().st_size,
    }


def fp32_outputs(own_target: Path, reference_target: Path) -> Path | None:
    """The folder of fp32 images that a build is compared with: its own target's, or else the reference's."""
    for folder in (own_target, reference_target):
        if read_json(folder / "status.json")["status"] == "ok":
            return folder
    return None


def score_build(
    images: Path, outputs: Path, fp32: Path | None, out: Path, *, datasets: Sequence[str],
    protocols: Sequence[str], scale: int, distance: Distance | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Score a build under every protocol: {data set: {protocol: scores}}; its crops go to `out` as PNG.

    `images`, `outputs` and `fp32` hold the model's pairs, this build's images and those of the fp32
    build (None for fp32 itself), each in {evaluation,card}/<data set>. With `distance`, scores have the
    FID of the whole images: the same for all protocols that score images of one shape.
    """
    scores: dict[str, Any] = {}
    for dataset in datasets:
        for kind in (CARD, NATIVE):  # the crops of the native images stay, where there are both
            wanted = [PROTOCOLS[name] for name in protocols if PROTOCOLS[name].fixed_shape == (kind == CARD)]
            if wanted and not (outputs / kind).is_dir():  # the vendor's card runs its fixed shape only
                why = {"unavailable": f"the target gives no {kind} images"}
                scores.setdefault(dataset, {}).update({protocol.name: why for protocol in wanted})
            elif wanted:
                folders = _folders(images, outputs, fp32, f"{kind}/{dataset}")
                found = evaluate(folders, protocols=wanted, scale=scale)
                far = _fid(distance(folders.outputs, folders.hr)) if distance else {}
                scores.setdefault(dataset, {}).update({name: score | far for name, score in found.items()})
                _write_crops(crops(folders, scale=scale), out, dataset)
    return scores


def _fid(found: Fid) -> dict[str, Any]:
    return {"fid": found.distance, "fid_patches": found.patches, "fid_skipped": found.reason}


def _folders(images: Path, outputs: Path, fp32: Path | None, name: str) -> Folders:
    lr, hr = images / name / "lr", images / name / "hr"
    return Folders(lr=lr, hr=hr, outputs=outputs / name, fp32=fp32 / name if fp32 else None)


def _write_crops(shown: Mapping[str, Image], out: Path, dataset: str) -> None:
    for kind, image in shown.items():
        write_png(out / f"{dataset}.{kind}.png", image)
