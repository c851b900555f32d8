"""PSNR on pairs that are not trained on."""

import math

import numpy as np
import torch

from edsr_int8.errors import InputError
from edsr_int8.metrics.protocols import PROTOCOLS, scored_pixels
from edsr_int8.metrics.psnr import psnr_db
from edsr_int8.training.branches import Branches
from edsr_int8.training.device import as_image, moved
from edsr_int8.training.pixels import Pixels

PROTOCOL = PROTOCOLS["basicsr"]  # every scale has it


def check_sizes(pixels: Pixels) -> None:
    """InputError: an image is so small that the protocol leaves no pixel of it to score."""
    for place in pixels.places():
        shave = PROTOCOL.shave(place.scale)
        if min(place.height, place.width) * place.scale <= 2 * shave:
            raise InputError(
                f"validation: {place.name} is {place.width}x{place.height} pixels, too small for protocol "
                f"{PROTOCOL.name}, which shaves {shave} off every border at scale {place.scale}"
            )


@torch.inference_mode()
def validate(branches: Branches, pixels: Pixels, device: str) -> float:
    """Mean PSNR in dB over the pairs, by PROTOCOL; NaN if an output is infinite or NaN."""
    scores = []
    for place in pixels.places():
        low, high = pixels.images(place)
        image = as_image(moved(low[None], device))
        output = branches.of(place.scale)(image)[0].permute(1, 2, 0).cpu().numpy()
        if not np.isfinite(output).all():
            return math.nan
        scored = (scored_pixels(image, PROTOCOL, place.scale) for image in (output, high))
        scores.append(psnr_db(*scored))
    return float(np.mean(scores))
