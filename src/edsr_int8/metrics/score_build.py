"""Everything that is reported of one build: facts, the scores of its images, the crops for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edsr_int8.checkpoints.facts import NetworkFacts
from edsr_int8.cluster.work import Executor
from edsr_int8.data.images import Image, write_png
from edsr_int8.metrics.evaluate import HERE, Folders, evaluate
from edsr_int8.metrics.fid.frechet import FolderDistance
from edsr_int8.metrics.page_crops import crops
from edsr_int8.metrics.protocols import PROTOCOLS
from edsr_int8.metrics.scores import BuildFacts, Score, Unscored, read_status
from edsr_int8.models.complexity import card_flops_g, gmacs
from edsr_int8.onnx_file import read_onnx

NATIVE, FIXED = "evaluation", "card"  # sub-folders: images of their own shape, and of the card's fixed one


def build_facts(network: NetworkFacts, model: Path, shape: tuple[int, int]) -> BuildFacts:
    """Facts about the ONNX file `model`, with the work for one image of `shape` (height, width).

    `quantize` notes the high-precision shares in the file. A build without a note is all int8 (0), or all
    float (1) where it names no precision.
    """
    height, width = shape
    noted = {entry.key: entry.value for entry in read_onnx(model, "quantize").metadata_props}
    default = 0.0 if noted.get("precision") in ("int8", "mixed") else 1.0
    return BuildFacts(
        params=network.params,
        gmacs=gmacs(network, height, width),
        card_flops_g=card_flops_g(network, height, width),
        model_bytes=model.stat().st_size,
        high_precision_mac_share=float(noted.get("high_precision_mac_share", default)),
        high_precision_byte_share=float(noted.get("high_precision_byte_share", default)),
    )


def fp32_outputs(own_target: Path, reference_target: Path) -> Path | None:
    """The folder of fp32 images that a build is compared with: its own target's, or the reference target's.

    None where neither could run fp32.
    """
    for folder in (own_target, reference_target):
        if read_status(folder) == "ok":
            return folder
    return None


def score_build(
    images: Path, outputs: Path, fp32: Path | None, out: Path, *, datasets: Sequence[str],
    protocols: Sequence[str], scale: int, partial: Path, fid: FolderDistance | None = None,
    executor: Executor = HERE,
) -> dict[str, dict[str, Score | Unscored]]:  # fmt: skip
    """Score a build under every protocol: {data set: {protocol: score}}; its crops go to `out` as PNG.

    `images`, `outputs` and `fp32` hold the model's pairs, this build's images and those of the fp32
    build (None for fp32 itself), each in {evaluation,card}/<data set>. `fid` measures the distance of whole
    images, so it is the same for all protocols that score images of one shape. `partial` as in `evaluate`.
    """
    scores: dict[str, dict[str, Score | Unscored]] = {}
    for dataset in datasets:
        found = scores.setdefault(dataset, {})
        for kind in (FIXED, NATIVE):  # in this order: the crops of the native images replace the card's
            wanted = [PROTOCOLS[name] for name in protocols if PROTOCOLS[name].fixed_shape == (kind == FIXED)]
            if not wanted:
                continue
            if not (outputs / kind).is_dir():  # the vendor's accelerator runs its fixed shape only
                reason = f"the target gives no {kind} images"
                found |= dict.fromkeys((protocol.name for protocol in wanted), Unscored(reason))
                continue
            folders = _folders(images, outputs, fp32, f"{kind}/{dataset}")
            distance = fid(folders.outputs, folders.hr) if fid else None
            found_here = evaluate(folders, protocols=wanted, scale=scale, partial=partial, executor=executor)
            for name, score in found_here.items():
                found[name] = replace(score, fid=distance)
            _write_crops(crops(folders, scale=scale), out, dataset)
    return scores


def _folders(images: Path, outputs: Path, fp32: Path | None, name: str) -> Folders:
    lr, hr = images / name / "lr", images / name / "hr"
    return Folders(lr=lr, hr=hr, outputs=outputs / name, fp32=fp32 / name if fp32 else None)


def _write_crops(shown: Mapping[str, Image], out: Path, dataset: str) -> None:
    for kind, image in shown.items():
        write_png(out / f"{dataset}.{kind}.png", image)
