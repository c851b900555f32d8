"""Camera shake for deblurring pairs: a random hand trajectory, exposed in linear light.

The trajectory is the random walk of Boracchi & Foi (Modeling the Performance of Image Restoration
From Motion Blur, IEEE TIP 21(8), 2012) with the constants of DeblurGAN (Kupyn et al., CVPR 2018,
https://arxiv.org/abs/1711.07064, algorithm 1). Light adds up before the camera's response curve, so
the exposure is summed at gamma 2.2, the curve that GoPro's data set takes (Nah et al., CVPR 2017).
"""

import cmath
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
GAMMA = 2.2
# The hand's way during an exposure. A hand turns the camera by an angle, so it is a share of the picture's
# longer side: 9 to 21 pixels of GoPro's 1280. Drawn evenly on a logarithmic scale: most shakes are short.
SHORTEST, LONGEST = 1 / 150, 1 / 60
STEPS = 2000  # points of a trajectory, and ...
SHAKE = 0.001  # ... the size of what disturbs it at each: DeblurGAN's


def shake(image: Image, *, seed: int | Sequence[int]) -> Image:
    """A uint8 HWC image as a shaking camera takes it, aligned with it; equal seeds, equal bytes."""
    random = np.random.default_rng(seed)
    share = SHORTEST * (LONGEST / SHORTEST) ** random.random()
    return expose(image, kernel(trajectory(random, length_px=share * max(image.shape))))


def trajectory(
    random: np.random.Generator, *, length_px: float, steps: int = STEPS
) -> NDArray[np.complex128]:
    """Positions x + iy in pixels at equal times, from 0: a way of `length_px` at constant speed.

    Velocity turns by Gaussian tremor, is drawn back to the start, and rarely jumps to the far side.
    """
    back, jump, tremor = random.uniform(0, 0.7), random.uniform(0, 0.2), random.uniform(0, 0.7)
    speed = length_px / (steps - 1)
    velocity = cmath.rect(speed, random.uniform(0, 2 * math.pi))
    noise = (random.standard_normal(steps) + 1j * random.standard_normal(steps)).tolist()
    jumps = (random.random(steps) < jump * SHAKE).tolist()
    turns = random.uniform(-0.5, 0.5, steps).tolist()
    path = [0j]
    for gauss, jumps_now, turn in zip(noise[1:], jumps[1:], turns[1:], strict=True):
        push = 2 * velocity * cmath.exp(1j * (math.pi + turn)) if jumps_now else 0
        velocity += push + SHAKE * (tremor * gauss - back * path[-1]) * speed
        velocity *= speed / abs(velocity)
        path.append(path[-1] + velocity)
    return np.array(path)


def kernel(path: NDArray[np.complex128]) -> NDArray[np.float64]:
    """The share of the exposure that each pixel gets: odd square, sum 1, centroid at its centre.

    Each point is spread over its four pixels bilinearly. Centred, so that a network that learns to
    undo it need not learn a shift.
    """
    path = path - path.mean()
    radius = int(max(np.abs(path.real).max(), np.abs(path.imag).max())) + 1
    x, y = path.real + radius, path.imag + radius
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    weights = np.zeros((2 * radius + 1, 2 * radius + 1))
    for dy, share_y in ((0, 1 - (y - top)), (1, y - top)):
        for dx, share_x in ((0, 1 - (x - left)), (1, x - left)):
            np.add.at(weights, (top + dy, left + dx), share_y * share_x)
    return weights / weights.sum()


def expose(image: Image, weights: NDArray[np.float64]) -> Image:
    """Convolve a uint8 HWC image with an odd square kernel in linear light; borders are mirrored.

    Summed tap by tap and rounded by look-up: the same bytes on every machine.
    """
    radius = weights.shape[0] // 2
    around = ((radius, radius), (radius, radius), (0, 0))
    light = np.pad(to_light(np.arange(256))[image], around, mode="symmetric")
    total = np.zeros(image.shape)
    height, width = image.shape[:2]
    for y, x in np.argwhere(weights):
        rows, columns = 2 * radius - y, 2 * radius - x
        total += weights[y, x] * light[rows : rows + height, columns : columns + width]
    return np.searchsorted(to_light(np.arange(255) + 0.5), total).astype(np.uint8)


def to_light(level: NDArray[Any]) -> NDArray[np.float64]:
    """Grey level 0..255 -> linear light 0..1."""
    return np.asarray((level / 255) ** GAMMA, np.float64)
