"""A small set of results: figures that can be checked by head, a target that is missing, pictures."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edsr_int8.metrics.scores import BuildFacts, BuildScores, ImageScore, Score
from edsr_int8.pipeline.rows import Model
from edsr_int8.quantization.analysis.curves import CurvePoint
from edsr_int8.quantization.analysis.losses import Loss
from edsr_int8.quantization.calibration.counting import count
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.report.analysis import Analysis
from edsr_int8.report.results import BuildKey, BuildResult, Results, Timing
from edsr_int8.targets.figures import Placement

MISSING = "unavailable: openvino is not installed; pip install edsr-int8[openvino]"
FP32, INT8 = BuildKey("net", "fp32", "onnxruntime"), BuildKey("net", "int8", "onnxruntime")
FP32_OPENVINO, INT8_OPENVINO = (key._replace(target="openvino") for key in (FP32, INT8))
# EDSR_baseline_x2 at 256x256: 90.115 GMACs, which the card prints as 200.256
FACTS = BuildFacts(1_369_859, 90.115, 200.256, 5_500_000, 0.0, 0.0)


def model(**facts: object) -> Model:
    row = {
        "source": "official", "network": "edsr", "features": 64, "blocks": 16, "scale": 2, "res_scale": 1.0,
        "upsampler": "pixelshuffle", "weights": "w.pt", "evaluation": ("photos",), "calibration": "c",
        "protocols": ("official",), "shape": "native",
    }  # fmt: skip
    return Model(**row | facts)  # type: ignore[arg-type]


def score(*psnr_db: float, fidelity_db: float | None = None) -> Score:
    """Of images that scored `psnr_db`, named image0, image1, ...; their inputs always have 30 dB."""
    images = [ImageScore(x, 0.9, 30.0, 0.8, fidelity_db, name=f"image{i}") for i, x in enumerate(psnr_db)]
    mean = sum(psnr_db) / len(psnr_db)
    return Score(
        mean, 0.91234567, 30.0, 0.8, fidelity_db,
        images=len(images), per_image=tuple(images), per_sequence={},
    )  # fmt: skip


def scored(found: Score) -> BuildScores:
    return BuildScores("ok", FACTS, {}, {"photos": {"official": found}})


def unavailable() -> BuildScores:
    return BuildScores(MISSING, FACTS, {}, {})


def timed(latency_ms: float, runtime: str = "onnxruntime") -> Timing:
    return Timing(
        "ok", 256, 256, "a machine", runtime, "1.0", 2, latency_ms, spread_ms=1.0,
        megapixels_per_s=262.144 / latency_ms, peak_memory_mb=512.0, load_s=0.25,
        placement=Placement(5, 0, 0, 1.0, 0.0, 1, 60),
    )  # fmt: skip


NOT_TIMED = Timing(MISSING, 256, 256, "a machine", "openvino", "", 2)


def png(width: int, height: int, grey: int) -> bytes:
    """A PNG written by its specification: signature, IHDR, IDAT, IEND."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes([grey]) * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def write_crops(folder: Path, grey: int) -> None:
    """8x6 outputs of 4x3 inputs."""
    folder.mkdir()
    for kind, image in (
        ("input", png(4, 3, 10)),
        ("bicubic", png(8, 6, 20)),
        ("output", png(8, 6, grey)),
        ("reference", png(8, 6, 40)),
    ):
        (folder / f"photos.{kind}.png").write_bytes(image)


def tiny_results(folder: Path) -> Results:
    """One model in fp32 and int8, its crops in `folder`; fp32 does not run on OpenVINO."""
    found = {
        FP32: (scored(score(34.0, 36.0)), timed(100.0)),
        FP32_OPENVINO: (unavailable(), NOT_TIMED),
        INT8: (scored(score(33.5, 36.25, fidelity_db=45.0)), timed(50.0)),
        INT8_OPENVINO: (scored(score(33.0, 36.0, fidelity_db=44.0)), timed(40.0, "openvino")),
    }
    builds = {}
    for number, (key, (scores, timing)) in enumerate(found.items()):
        crops = folder / "-".join(key)
        if scores.status == "ok":
            write_crops(crops, 30 + number)
        builds[key] = BuildResult(scores, timing, {}, crops)
    published = {"psnr_db": 34.61, "int8_psnr_db": 28.552, "card_flops_g": 200.256}
    return Results(
        {"net": model(reference=published)},
        {"fp32": Recipe("float32"), "int8": Recipe("int8", "percentile", 99.999)},
        builds,
        {"net": Analysis([], {}, {}, {})},
    )


def with_build(results: Results, key: BuildKey, **fields: Any) -> Results:
    """`results` with some fields of one build replaced; `score` is that of its one data set and protocol."""
    if "score" in fields:
        fields["scores"] = scored(fields.pop("score"))
    return replace(results, builds={**results.builds, key: replace(results.builds[key], **fields)})


def with_model(results: Results, **keys: Any) -> Results:
    """`results` with some keys of the model's row replaced."""
    return replace(results, models={"net": replace(results.models["net"], **keys)})


def explained(results: Results) -> Results:
    """The results with all that explains the loss of int8."""
    losses = [
        Loss("all", "all", 2.0),
        Loss("body", "weights", 0.5),
        Loss("sum", "tensor", 1.0),
    ]
    counted = {"sum": count(np.arange(-50, 51, dtype=np.float32))}
    curve = [CurvePoint(0, None, 1.0), CurvePoint(10, 0.9, 0.8)]
    scores = replace(results.builds[INT8].scores, ranges={"sum": {"low": -25.0, "high": 50.0}})
    analysis = Analysis(losses, counted, {}, {"int8": curve})
    return replace(with_build(results, INT8, scores=scores), analyses={"net": analysis})
