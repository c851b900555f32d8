"""Scoring protocols: which pixels of an output and its reference are compared, and in which form."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Luma of ITU-R BT.601 in 16..235 for RGB in 0..1, as in MATLAB's rgb2ycbcr.
BT601_LUMA = (65.481, 128.553, 24.966)
BT601_BLACK = 16.0


@dataclass(frozen=True)
class Protocol:
    """What is done to an image before PSNR and SSIM are computed."""

    name: str
    channels: str  # RGB | Y (of BT.601)
    shave_extra: int  # pixels left out at every border: shave_scales times the scale, and these
    shave_scales: int
    rounded: bool  # float outputs are rounded to whole grey levels first
    fixed_shape: bool  # scored on pairs that `card_inputs` resized, not on images of their own shape
    source: str

    def shave(self, scale: int) -> int:
        """Pixels left out at every border of an image that was enlarged by `scale`."""
        return self.shave_scales * scale + self.shave_extra


PROTOCOLS = {
    row.name: row
    for row in (
        # EDSR-PyTorch's README says scale + 2, but the code that printed its figures shaves scale + 6.
        Protocol("official", "RGB", 6, 1, True, False, "EDSR-PyTorch, src/utility.py, calc_psnr: DIV2K"),
        Protocol("basicsr", "RGB", 0, 1, True, False, "BasicSR, options/test/EDSR: crop_border = scale"),
        # Y stays unrounded, as in BasicSR's to_y_channel. MATLAB rounds it to uint8: 0.08 dB less on Set5.
        Protocol("benchmark_y", "Y", 0, 1, True, False, "papers on Set5, Set14, B100, Urban100"),
        # The vendor scores unrounded outputs. Ours are whole grey levels: rounding adds 1/12 to the mean
        # squared error, at most 0.006 dB at 30 dB.
        Protocol("card", "RGB", 0, 0, False, True, "the vendor's evaluation scripts: both images resized"),
    )
}


def scored_pixels(image: NDArray[Any], protocol: Protocol, scale: int) -> NDArray[Any]:
    """The pixels of `image` that `protocol` compares.

    `image` is HWC RGB in grey levels, uint8 or float. Floats are clipped to 0..255, and rounded half to
    even where the protocol rounds. Returns HWC of that type, or float64 HW where the protocol compares Y.
    """
    shave = protocol.shave(scale)
    pixels = image[shave : image.shape[0] - shave, shave : image.shape[1] - shave]
    if pixels.dtype != np.uint8:
        pixels = np.clip(pixels, 0, 255)
        pixels = np.rint(pixels) if protocol.rounded else pixels
    return luma(pixels) if protocol.channels == "Y" else pixels


def luma(image: NDArray[Any]) -> NDArray[np.float64]:
    """BT.601 luma, 16..235 and not rounded, of an HWC RGB image in grey levels 0..255."""
    return image @ (np.array(BT601_LUMA) / 255) + BT601_BLACK


def card_inputs(
    lr: NDArray[np.uint8], hr: NDArray[np.uint8], shape: tuple[int, int], scale: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The pair that the `card` protocol runs and scores on; uint8 HWC RGB in and out.

    The degraded image is resized to `shape` (height, width), the reference to the output's shape, both by
    OpenCV's INTER_AREA. The aspect ratio is not kept.
    """
    height, width = shape
    fixed_lr = cv2.resize(lr, (width, height), interpolation=cv2.INTER_AREA)
    fixed_hr = cv2.resize(hr, (width * scale, height * scale), interpolation=cv2.INTER_AREA)
    return fixed_lr.astype(np.uint8), fixed_hr.astype(np.uint8)
