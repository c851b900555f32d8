"""Camera shake for deblurring pairs: a random trajectory of the hand, exposed in linear light.

The trajectory is that of Boracchi & Foi (Modeling the Performance of Image Restoration From Motion Blur,
IEEE TIP 21(8), 2012) with the constants of DeblurGAN (Kupyn et al., CVPR 2018,
https://arxiv.org/abs/1711.07064, algorithm 1). A sensor adds up light before the camera's response curve, so
the exposure is summed in linear light, at gamma 2.2 as in the GoPro data set (Nah et al., CVPR 2017).
"""

import cmath
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
GAMMA = 2.2
# Length of a trajectory as a fraction of the picture's longer side, since a hand turns the camera by an
# angle: 9 to 21 pixels of GoPro's 1280. Drawn evenly on a logarithmic scale: most shakes are short.
SHORTEST, LONGEST = 1 / 150, 1 / 60
STEPS = 2000  # points of a trajectory; this and the next as in DeblurGAN
SHAKE = 0.001  # how strongly each step changes the velocity


def shake(image: Image, *, seed: int | Sequence[int]) -> Image:
    """A uint8 HWC image as a shaking camera takes it, without a shift; equal seeds give equal bytes."""
    random = np.random.default_rng(seed)
    fraction = SHORTEST * (LONGEST / SHORTEST) ** random.random()
    return expose(image, kernel(trajectory(random, length_px=fraction * max(image.shape))))


def trajectory(
    random: np.random.Generator, *, length_px: float, steps: int = STEPS
) -> NDArray[np.complex128]:
    """Positions x + iy in pixels at equal times, from 0: `length_px` long, at constant speed.

    Gaussian tremor turns the velocity, a pull leads back to the start, and rarely the hand jerks to the
    other side.
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
    """The fraction of the exposure spent on each pixel: an odd square whose sum is 1.

    Each point is spread bilinearly over the four pixels around it. The centroid is the centre, so that a
    network that learns to undo the blur need not learn a shift.
    """
    path = path - path.mean()
    radius = int(max(np.abs(path.real).max(), np.abs(path.imag).max())) + 1
    x, y = path.real + radius, path.imag + radius
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    weights = np.zeros((2 * radius + 1, 2 * radius + 1))
    for dy, weight_y in ((0, 1 - (y - top)), (1, y - top)):
        for dx, weight_x in ((0, 1 - (x - left)), (1, x - left)):
            np.add.at(weights, (top + dy, left + dx), weight_y * weight_x)
    return weights / weights.sum()


def expose(image: Image, weights: NDArray[np.float64]) -> Image:
    """Convolve a uint8 HWC image with an odd square kernel in linear light; borders are mirrored.

    Weights are added one by one and the sum is rounded by look-up, which gives the same bytes on every
    machine.
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
