"""SSIM against scikit-image: time and difference on a 2K image, in one run.

    python benchmarks/ssim_speed.py [--repeats 10]

Both use the same windows (11x11 Gaussian, inside the image only) and take turns, after one round of warm-up.
Wall time is what a user waits for; CPU time adds up over threads. The median includes other load on the
machine, the best does not. scikit-image always uses one thread.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from skimage import data
from skimage.metrics import structural_similarity

from edsr_int8.metrics.ssim import WINDOW, ssim

HEIGHT, WIDTH = 1356, 2040  # a DIV2K photograph
EDGE = WINDOW // 2


def photographs() -> tuple[np.ndarray, np.ndarray]:
    """A 2K photograph, enlarged from one that scikit-image ships, and a blurred, noisy copy."""
    image = cv2.resize(data.astronaut(), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).normal(0, 5, image.shape)
    return image, np.clip(cv2.GaussianBlur(image, (5, 5), 1) + noise, 0, 255).astype(np.uint8)


def scikit_image(output: np.ndarray, reference: np.ndarray) -> float:
    _, windows = structural_similarity(
        output, reference, data_range=255, channel_axis=2, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    return float(windows[EDGE:-EDGE, EDGE:-EDGE].mean())


def timed(function: Callable[..., float], images: tuple[np.ndarray, ...]) -> tuple[float, float, float]:
    """Result, wall milliseconds, CPU milliseconds of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*images)
    return result, 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description="SSIM against scikit-image")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    images = photographs()
    contenders = {
        "1 thread": partial(ssim, threads=1),
        "2 threads": partial(ssim, threads=2),
        "scikit-image": scikit_image,
    }
    rounds = [
        {name: timed(run, images) for name, run in contenders.items()} for _ in range(options.repeats + 1)
    ]
    figures = {name: np.array([found[name] for found in rounds[1:]]) for name in contenders}
    theirs = figures["scikit-image"]
    print(f"{WIDTH}x{HEIGHT} RGB, {options.repeats} rounds: milliseconds, and how many times as fast")
    for name, ours in figures.items():
        for statistic, of in (("median", np.median), ("best", np.min)):
            (wall, cpu), (their_wall, their_cpu) = of(ours[:, 1:], axis=0), of(theirs[:, 1:], axis=0)
            print(
                f"{name:13s}{statistic:7s} wall {wall:7.1f} ({their_wall / wall:4.1f})  CPU {cpu:7.1f} "
                f"({their_cpu / cpu:4.1f})  difference {abs(ours[0, 0] - theirs[0, 0]):.1e}"
            )


if __name__ == "__main__":
    main()
