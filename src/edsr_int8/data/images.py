"""Image files in and out: uint8 HWC RGB in memory, PNG on disk.

Pixels are taken as they are stored: colour profiles are not applied, and unless asked for, an orientation
tag turns nothing, so that the two images of a pair cannot fall apart by their metadata.
"""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFile
import PIL.ImageOps
from numpy.typing import NDArray
from PIL.ExifTags import Base

from edsr_int8.errors import InputError
from edsr_int8.files import atomic

Image = NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")  # Pillow's names; the others lose exactness in RGB
REMEDY = "save it as an 8-bit RGB PNG"
COMPRESSION = 3  # of 0..9; on GoPro frames 4 % larger than Pillow's default 6, in a third of its time

# Pillow would refuse 179 megapixels, for fear of bombs; what networks make of a photograph has more.
MOST_PIXELS = 2**30
PIL.Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow warns there, and refuses twice that
warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)


def read_rgb(path: Path, *, upright: bool = False) -> Image:
    """Decode one image file to uint8 HWC RGB, greyscale as three equal channels.

    `upright`: turned as its orientation tag says.
    InputError where the file is missing, damaged or cut short, or holds what 8-bit RGB does not: 16-bit or
    float samples, CMYK, transparency, more than one picture.
    """
    with _opened(path) as image:
        if image.format == "PNG":
            image.verify()  # the decoder itself skips checksums, and a missing end
    with _opened(path) as image:
        if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
            raise InputError(f"{path}: has transparent pixels; flatten it, then {REMEDY}")
        if upright:
            PIL.ImageOps.exif_transpose(image, in_place=True)
        return np.array(image.convert("RGB"))


def image_shape(path: Path) -> tuple[int, int]:
    """(height, width) from the header, without decoding. InputError as `read_rgb`, as far as that shows."""
    with _opened(path) as image:
        return image.height, image.width


def is_rgb_png(path: Path) -> bool:
    """Whether the file is already what `write_png` would make of it: an 8-bit RGB PNG without alpha."""
    with _opened(path) as image:
        return image.format == "PNG" and image.mode == "RGB" and not image.has_transparency_data


def write_png(path: Path, image: Image) -> None:
    """Write uint8 HWC RGB whole or not at all; equal images give equal bytes. ValueError for other arrays."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{path}: expected uint8 HWC RGB, found {image.dtype} of shape {image.shape}")
    with atomic(path) as temporary:
        PIL.Image.fromarray(image).save(temporary, "PNG", compress_level=COMPRESSION)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[PIL.ImageFile.ImageFile]:
    """The opened, not yet decoded image; whatever Pillow raises inside the block becomes an InputError."""
    try:
        with PIL.Image.open(path, formats=FORMATS) as image:
            if unfit := _unfit(image):
                raise InputError(f"{path}: {unfit}; {REMEDY}")
            yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such image file") from None
    except PIL.Image.DecompressionBombError:
        raise InputError(f"{path}: has more than {MOST_PIXELS} pixels; cut it into smaller images") from None
    except PIL.UnidentifiedImageError:
        raise InputError(f"{path}: is no readable {', '.join(FORMATS)} image; {REMEDY}") from None
    except Exception as error:  # a damaged file leads Pillow's decoders to anything
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: does not decode ({reason}); replace it by a whole image") from None


def _unfit(image: PIL.ImageFile.ImageFile) -> str:
    """Why the image cannot be had exactly in 8-bit RGB; '' where it can."""
    if (bits := _bits(image)) > 8:
        return f"has {bits} bits per sample"
    if image.mode not in MODES:
        return f"holds {image.mode} pixels"
    # MPO: a camera's JPEG with previews behind it; the first picture is the photograph
    if image.format != "MPO" and (pictures := getattr(image, "n_frames", 1)) > 1:
        return f"holds {pictures} pictures"
    if image.format == "TIFF" and image.getexif().get(Base.Orientation, 1) != 1:
        return "is stored turned (orientation tag), and Pillow would turn it back"  # in no other format
    return ""


def _bits(image: PIL.ImageFile.ImageFile) -> int:
    """Bits per sample in the file; Pillow's mode hides that it cuts 16-bit RGB down to 8."""
    if image.format == "TIFF":
        return max(image.tag_v2.get(Base.BitsPerSample, (1,)))  # type: ignore[attr-defined]
    wide = image.format == "PNG" and "16" in str(image.tile[0].args)
    return 16 if wide else 8
