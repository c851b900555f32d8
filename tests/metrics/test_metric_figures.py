"""Published and independently computed figures, met through the protocols on real images."""

from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from edsr_int8.checkpoints.convert import convert, load_network
from edsr_int8.data.degrade.bicubic import reduce
from edsr_int8.data.images import read_rgb
from edsr_int8.metrics.evaluate import score_pair
from edsr_int8.metrics.protocols import PROTOCOLS
from edsr_int8.models.description import Description

R8F64 = ("edsr_r8f64x2_official.pt", Description("edsr", 64, 8, 2, 1.0, "pixelshuffle"))
MOBILE = ("edsr_mobile_f32b5x2.pt", Description("edsr", 32, 5, 2, 1.0, "direct"))


def set5_pairs(shared: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """MATLAB's own x2 images and their references."""
    references = sorted((shared / "data/Set5/HR").iterdir())
    low = [next((shared / "data/Set5").rglob(f"*{path.stem}x2.png")) for path in references]
    return [(read_rgb(lr), read_rgb(hr)) for lr, hr in zip(low, references, strict=True)]


def crop_pairs(shared: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    references = [read_rgb(path) for path in sorted((shared / "data/DIV2K_valid_crops/HR").iterdir())]
    return [(reduce(hr, 2), hr) for hr in references]


def outputs(
    shared: Path, folder: Path, network: tuple[str, Description], inputs: list[np.ndarray]
) -> list[np.ndarray]:
    """What the float network makes of uint8 images, neither clipped nor rounded: float32 HWC."""
    file, description = network
    convert(shared / "weights" / file, "official", description, folder)
    module, _ = load_network(folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # real networks: these are worth it
    with torch.inference_mode():
        tensors = [module(torch.from_numpy(image).permute(2, 0, 1)[None].float())[0] for image in inputs]
    torch.set_num_threads(threads)
    return [tensor.permute(1, 2, 0).numpy() for tensor in tensors]


@pytest.mark.parametrize(
    ("network", "pairs", "figures"),
    [
        (R8F64, set5_pairs, {"basicsr": 35.6177, "benchmark_y": 37.8011, "official": 35.6181}),
        (MOBILE, set5_pairs, {"basicsr": 35.2449, "benchmark_y": 37.3773, "official": 35.2664}),
        (R8F64, crop_pairs, {"basicsr": 33.5359, "benchmark_y": 35.1198, "official": 33.5544}),
        (MOBILE, crop_pairs, {"basicsr": 32.8888, "benchmark_y": 34.4557, "official": 32.9067}),
    ],
    ids=["r8f64-Set5", "mobile-Set5", "r8f64-DIV2K_crops", "mobile-DIV2K_crops"],
)
def test_networks_score_what_was_computed_apart_from_this_project(shared, tmp_path, network, pairs, figures):
    images = pairs(shared)
    results = outputs(shared, tmp_path, network, [lr for lr, _ in images])
    for name, figure in figures.items():
        scores = [
            score_pair(out, hr, PROTOCOLS[name], 2)[0] for out, (_, hr) in zip(results, images, strict=True)
        ]
        assert fmean(scores) == pytest.approx(figure, abs=0.0005), name


def test_gopro_blur_scores_20_to_25_db_and_as_scikit_image_says(shared):
    """Over these four pairs 20.3 is the least in RGB, 25.0 the largest in Y; RGB ends at 23.6."""
    folder = shared / "data/GoPro"
    scores: dict[str, list[float]] = {"basicsr": [], "benchmark_y": []}
    for path in sorted((folder / "sharp").iterdir()):
        blurred, sharp = read_rgb(folder / "blur" / path.name), read_rgb(path)
        for name, found in scores.items():
            found.append(score_pair(blurred, sharp, PROTOCOLS[name], 1)[0])
        expected = peak_signal_noise_ratio(sharp[1:-1, 1:-1], blurred[1:-1, 1:-1])
        assert scores["basicsr"][-1] == pytest.approx(expected, abs=1e-9)
    assert len(scores["basicsr"]) == 4
    assert round(min(scores["basicsr"]), 1) == 20.3 and round(max(scores["basicsr"]), 1) == 23.6
    assert round(max(scores["benchmark_y"]), 1) == 25.0
