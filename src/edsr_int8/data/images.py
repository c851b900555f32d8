"""Image files in and out: uint8 HWC RGB in memory, PNG on disk.

Pixels are taken as they are stored: colour profiles are not applied, and orientation tags are ignored
unless asked for, so that metadata cannot make the two images of a pair differ.
"""

import contextlib
import io
import logging
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

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
from edsr_int8.files import atomic, require_plain

Image = NDArray[np.uint8]

# Pillow's words on odd metadata, and on sizes below our own limits: several lines a picture, and no names.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")  # of the plugins above, which register their decoders
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")  # of these, in lower case
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")  # Pillow's names; the others lose exactness in RGB
REMEDY = "save it as an 8-bit RGB PNG"
COMPRESSION = 3  # of 0..9; on GoPro frames 4 % larger than Pillow's default 6, in a third of its time
# A photograph of 12 megapixels enlarged 4 times has 192 million. Decoding takes 7 bytes a pixel: Pillow's own
# array (4) and ours (3).
MOST_PIXELS = 200_000_000
MOST_SIDE = 65_535  # pixels: JPEG's own limit
STRIP_PIXELS = 2**22  # converted at once
# Pixels of the formats whose decoders take more memory than Pillow's array, by what was measured at 2 GB.
MOST_OF_FORMAT = {"WEBP": 100_000_000, "JPEG": 160_000_000, "MPO": 160_000_000, "TIFF": 170_000_000}
MOST_SCANS = 100  # of a progressive JPEG: libjpeg writes 10, and each takes as long as a whole picture
SCAN = b"\xff\xda"  # where one begins; in its data, 0 follows every 255
SHOWN = 200  # characters of what Pillow says
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG, by its type of colour
# The seven passes of an interlaced PNG: first column, first row, distance of columns, of rows.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def read_rgb(path: Path, *, upright: bool = False, data: bytes | None = None) -> Image:
    """Decode one image file to uint8 HWC RGB, greyscale as three equal channels.

    `upright` turns the image as its orientation tag says. `data`: the file's bytes, where they were read
    already; `path` is then what errors call it. InputError: the file is missing, damaged or cut short, has
    more than MOST_PIXELS, or holds what 8-bit RGB cannot: 16-bit or float samples, CMYK, transparency, more
    than one picture.
    """
    with _opened(path, data) as image:
        if image.format == "PNG":
            image.verify()  # the decoder itself skips checksums, and a missing end
    with _opened(path, data) as image:
        image.load()
        if image.format == "PNG" and _may_lack_rows(image) and not _has_all_rows(path, data):
            raise InputError(f"{path}: lacks rows at its end; replace it by a whole image")
        if upright:
            PIL.ImageOps.exif_transpose(image, in_place=True)
        return _rgb(path, image)


def _rgb(path: Path, image: PIL.Image.Image) -> Image:
    """uint8 HWC, converted strip by strip: a copy of the whole would take as much memory again."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        if image.has_transparency_data and np.asarray(strip.convert("RGBA"))[..., 3].min() < 255:
            raise InputError(f"{path}: has transparent pixels; flatten it, then {REMEDY}")
        pixels[top : top + rows] = np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))
    return pixels


def _may_lack_rows(image: PIL.Image.Image) -> bool:
    """Pillow leaves black what is not in the file: the last rows, or any of an interlaced image."""
    last = image.crop((0, image.height - 1, image.width, image.height))
    return bool(image.info.get("interlace")) or not np.asarray(last).any()


def _has_all_rows(path: Path, given: bytes | None) -> bool:
    """Whether a PNG's compressed data gives as many bytes as its header says."""
    engine, found, expected = zlib.decompressobj(), 0, 0
    for kind, data in _png_chunks(path, given):
        if kind == b"IHDR":
            expected = _scanline_bytes(*struct.unpack(">IIBBBBB", data))
        waiting = data if kind == b"IDAT" else b""
        while waiting and found < expected:
            found += len(engine.decompress(waiting, 2**20))
            waiting = engine.unconsumed_tail
    return found >= expected


def _scanline_bytes(
    width: int, height: int, depth: int, colour: int, compression: int, filtering: int, interlaced: int
) -> int:
    """Of all passes; each row has one more byte, which names its filter (PNG specification, section 7)."""
    total = 0
    for left, top, across, down in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = (max(0, -(-(n - o) // d)) for n, o, d in ((width, left, across), (height, top, down)))
        total += rows * (1 + -(-columns * depth * CHANNELS[colour] // 8)) if columns else 0
    return total


def _png_chunks(path: Path, given: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of each chunk of a file whose checksums are known to be right."""
    with _file(path, given) as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            yield kind, file.read(length)
            file.seek(4, os.SEEK_CUR)


def jpeg_settings(path: Path) -> dict[str, Any] | None:
    """How a JPEG file is compressed, as keywords of Pillow's `save`; None for files of other formats."""
    with _opened(path) as image:
        if not isinstance(image, PIL.JpegImagePlugin.JpegImageFile):
            return None
        sampling = PIL.JpegImagePlugin.get_sampling(image)
        return {"qtables": image.quantization, "subsampling": sampling}


def jpeg_compressed(image: Image, settings: dict[str, Any]) -> Image:
    """What is left of uint8 HWC RGB after compression with `settings` of another file."""
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "JPEG", **settings)
    return np.array(PIL.Image.open(file).convert("RGB"))


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
    data = encode_png(image)
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def encode_png(image: Image) -> bytes:
    """uint8 HWC RGB as the bytes of a PNG file, the same for equal images. ValueError for other arrays."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected uint8 HWC RGB, found {image.dtype} of shape {image.shape}")
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "PNG", compress_level=COMPRESSION)
    return file.getvalue()


def _file(path: Path, data: bytes | None) -> IO[bytes]:
    return path.open("rb") if data is None else io.BytesIO(data)


@contextlib.contextmanager
def _opened(path: Path, data: bytes | None = None) -> Iterator[PIL.ImageFile.ImageFile]:
    """The image, opened and not decoded; whatever Pillow raises inside the block becomes an InputError."""
    require_plain(path)
    try:
        with _file(path, data) as file, _identified(file) as image:
            most = MOST_OF_FORMAT.get(image.format or "", MOST_PIXELS)
            if image.width * image.height > most or max(image.size) > MOST_SIDE:
                raise InputError(
                    f"{path}: {image.width}x{image.height} has more than {most} pixels, or {MOST_SIDE} a "
                    "side; cut it into smaller images"
                )
            if image.format in ("JPEG", "MPO") and _scans(path, data) > MOST_SCANS:
                raise InputError(f"{path}: has more than {MOST_SCANS} scans; {REMEDY}")
            if unfit := _unfit(image):
                raise InputError(f"{path}: {unfit}; {REMEDY}")
            yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such image file") from None
    except PIL.UnidentifiedImageError:
        raise InputError(f"{path}: is no readable {', '.join(FORMATS)} image; {REMEDY}") from None
    except Exception as error:  # a damaged file leads Pillow's decoders to anything
        reason = " ".join(str(error).split())[:SHOWN]
        raise InputError(f"{path}: does not decode ({reason}); replace it by a whole image") from None


def _scans(path: Path, given: bytes | None) -> int:
    return (path.read_bytes() if given is None else given).count(SCAN)


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
