"""Image files in and out: uint8 HWC RGB in memory, PNG on disk.

Pixels are taken as they are stored: colour profiles are not applied, and orientation tags are ignored
unless asked for, so that metadata cannot make the two images of a pair differ.
"""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import PIL.BmpImagePlugin
import PIL.Image
import PIL.ImageFile
import PIL.ImageOps
import PIL.JpegImagePlugin
import PIL.PngImagePlugin
import PIL.TiffImagePlugin
import PIL.WebPImagePlugin
from numpy.typing import NDArray
from PIL.ExifTags import Base

from edsr_int8.errors import InputError
from edsr_int8.files import atomic

Image = NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")  # of the plugins above, which register their decoders
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")  # of these, in lower case
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")  # Pillow's names; the others lose exactness in RGB
REMEDY = "save it as an 8-bit RGB PNG"
COMPRESSION = 3  # of 0..9; on GoPro frames 4 % larger than Pillow's default 6, in a third of its time
MOST_PIXELS = 2**30  # 3 GB decoded; Pillow's own limit, 179 million, is below a photograph enlarged 4 times


def read_rgb(path: Path, *, upright: bool = False) -> Image:
    """Decode one image file to uint8 HWC RGB, greyscale as three equal channels.

    `upright` turns the image as its orientation tag says. InputError: the file is missing, damaged or cut
    short, has more than MOST_PIXELS, or holds what 8-bit RGB cannot: 16-bit or float samples, CMYK,
    transparency, more than one picture.
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
    """(height, width) from the header alone. InputError: as `read_rgb`, where the header shows it."""
    with _opened(path) as image:
        return image.height, image.width


def is_rgb_png(path: Path) -> bool:
    """Whether the file is already such as `write_png` writes: an 8-bit RGB PNG without transparency."""
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
    """The image, opened and not decoded; whatever Pillow raises inside the block becomes an InputError."""
    try:
        with path.open("rb") as file, _identified(file) as image:
            if image.width * image.height > MOST_PIXELS:
                raise PIL.Image.DecompressionBombError
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


def _identified(file: IO[bytes]) -> PIL.ImageFile.ImageFile:
    """As `PIL.Image.open`, without its limit on pixels: that is a variable of the whole process."""
    start = file.read(16)
    file.seek(0)
    for decoder, accepts in (PIL.Image.OPEN[name] for name in FORMATS):
        if accepts is not None and accepts(start) is True:
            with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):  # as Pillow does
                return decoder(file, "")
    raise PIL.UnidentifiedImageError


def _unfit(image: PIL.ImageFile.ImageFile) -> str:
    """Why 8-bit RGB cannot hold the image exactly; '' where it can."""
    if (bits := _bits(image)) > 8:
        return f"has {bits} bits per sample"
    if image.mode not in MODES:
        return f"holds {image.mode} pixels"
    # MPO: a camera's JPEG, followed by previews; the first picture is the photograph.
    if image.format != "MPO" and (pictures := getattr(image, "n_frames", 1)) > 1:
        return f"holds {pictures} pictures"
    if image.format == "TIFF" and image.getexif().get(Base.Orientation, 1) != 1:
        # In this format alone Pillow turns the pixels by itself.
        return "is stored turned (orientation tag)"
    return ""


def _bits(image: PIL.ImageFile.ImageFile) -> int:
    """Bits per sample in the file. Pillow's mode does not tell: it reduces 16-bit RGB to 8 bits."""
    if image.format == "TIFF":
        return max(image.tag_v2.get(Base.BitsPerSample, (1,)))  # type: ignore[attr-defined]
    wide = image.format == "PNG" and "16" in str(image.tile[0].args)
    return 16 if wide else 8
