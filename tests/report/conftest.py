"""A small set of results: figures that can be checked by head, a target that is missing, pictures."""

import struct
import zlib
from pathlib import Path

import pytest

from edsr_int8.pipeline.rows import Model
from edsr_int8.report.table import Key

MISSING = "unavailable: openvino is not installed; pip install edsr-int8[openvino]"


def model(**facts: object) -> Model:
    row = {
        "source": "official", "network": "edsr", "features": 64, "blocks": 16, "scale": 2, "res_scale": 1.0,
        "upsampler": "pixelshuffle", "weights": "w.pt", "evaluation": ("photos",), "calibration": "c",
        "protocols": ("official",), "shape": "native",
    }  # fmt: skip
    return Model(**row | facts)  # type: ignore[arg-type]


def scored(*psnr_db: float, fidelity_db: float | None = None, dataset: str = "photos") -> dict:
    """scores.json of a build whose images scored `psnr_db`, inputs always 30 dB."""
    images = [
        {
            "name": f"image{i}",
            "psnr_db": value,
            "ssim": 0.9,
            "input_psnr_db": 30.0,
            "fidelity_db": fidelity_db,
        }
        for i, value in enumerate(psnr_db)
    ]
    score = {
        "images": len(images), "psnr_db": sum(psnr_db) / len(images), "ssim": 0.91234567,
        "input_psnr_db": 30.0, "input_ssim": 0.8, "fid": None, "fidelity_db": fidelity_db,
        "per_image": images,
    }  # fmt: skip
    return {"status": "ok", "facts": facts(), "datasets": {dataset: {"official": score}}}


def facts() -> dict:
    # EDSR_baseline_x2 at 256x256: 90.115 GMACs, which the card prints as 200.256
    return {"params": 1_369_859, "gmacs": 90.115, "card_flops_g": 200.256, "model_bytes": 5_500_000}


def unavailable() -> dict:
    return {"status": MISSING, "facts": facts(), "datasets": {}}


def timed(latency_ms: float, **other: object) -> dict:
    timing = {
        "status": "ok", "latency_ms": latency_ms, "spread_ms": 1.0, "megapixels_per_s": 262.144 / latency_ms,
        "peak_memory_mb": 512.0, "load_s": 0.25, "height": 256, "width": 256, "machine": "a machine",
        "runtime": "onnxruntime", "version": "1.0", "threads": 2,
    }  # fmt: skip
    return timing | other


def png(width: int, height: int, grey: int) -> bytes:
    """A PNG written by its specification: signature, IHDR, IDAT, IEND."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes([grey]) * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture
def models() -> dict[str, Model]:
    return {"net": model(reference={"psnr_db": 34.61, "int8_psnr_db": 28.552, "card_flops_g": 200.256})}


@pytest.fixture
def scores() -> dict[Key, dict]:
    return {
        ("net", "fp32", "onnxruntime"): scored(34.0, 36.0),
        ("net", "fp32", "openvino"): unavailable(),
        ("net", "int8", "onnxruntime"): scored(33.5, 36.25, fidelity_db=45.0),
        ("net", "int8", "openvino"): scored(33.0, 36.0, fidelity_db=44.0),
    }


@pytest.fixture
def timings() -> dict[Key, dict]:
    return {
        ("net", "fp32", "onnxruntime"): timed(100.0),
        ("net", "fp32", "openvino"): {"status": MISSING},
        ("net", "int8", "onnxruntime"): timed(50.0),
        ("net", "int8", "openvino"): timed(40.0, runtime="openvino"),
    }


@pytest.fixture
def crops(tmp_path: Path, scores: dict[Key, dict]) -> dict[Key, Path]:
    """Folders of crops: 8x6 outputs of 4x3 inputs, of the builds that ran."""
    folders = {key: tmp_path / "-".join(key) for key in scores}
    for number, (key, folder) in enumerate(folders.items()):
        folder.mkdir()
        if scores[key]["status"] == "ok":
            (folder / "photos.input.png").write_bytes(png(4, 3, 10))
            (folder / "photos.bicubic.png").write_bytes(png(8, 6, 20))
            (folder / "photos.output.png").write_bytes(png(8, 6, 30 + number))
            (folder / "photos.reference.png").write_bytes(png(8, 6, 40))
    return folders
