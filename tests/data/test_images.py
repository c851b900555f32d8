"""Image files: decoding is held against OpenCV, damage and foreign kinds against a clear refusal."""

import io
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
import tifffile

from edsr_int8.data import images
from edsr_int8.data.images import image_shape, is_rgb_png, read_rgb, write_png
from edsr_int8.errors import InputError

RANDOM = np.random.default_rng(0)
SMOOTH = cv2.GaussianBlur(RANDOM.integers(0, 256, (37, 53, 3), np.uint8), (0, 0), 2)  # odd sides
GREY = SMOOTH[..., 0]
WIDE = RANDOM.integers(0, 65536, (8, 9, 3), np.uint16)
RGB = PIL.Image.fromarray(SMOOTH)
TURNED = PIL.Image.Exif()
TURNED[0x0112] = 6  # orientation: the camera was held upright


def encoded(image: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.copy().save(file, kind, **options)  # saving leaves traces in the image
    return file.getvalue()


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb" if pixels.ndim > 2 else "minisblack", **options)
    return file.getvalue()


def png16(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def with_alpha(alpha: int) -> PIL.Image.Image:
    image = RGB.copy()
    image.putalpha(alpha)
    return image


def with_scans(jpeg: bytes, more: int) -> bytes:
    """The last scan of a progressive JPEG, again and again."""
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + last * more + jpeg[-2:]


def empty_png(height: int, width: int, rows: bytes = b"\0", interlaced: int = 0) -> bytes:
    """A PNG of right checksums that claims a shape and has these bytes of pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


SECOND = {"save_all": True, "append_images": [PIL.Image.fromarray(255 - SMOOTH)]}

GOOD = {
    "rgb.png": encoded(RGB, "PNG"),
    "grey.png": encoded(PIL.Image.fromarray(GREY), "PNG"),
    "bilevel.png": encoded(PIL.Image.fromarray(GREY > 127), "PNG"),
    "palette.png": encoded(RGB.quantize(40), "PNG"),
    "opaque.png": encoded(with_alpha(255), "PNG"),
    "half_chroma.jpg": encoded(RGB, "JPEG", quality=90, subsampling=2),
    "full_chroma.jpg": encoded(RGB, "JPEG", quality=60, subsampling=0),
    "progressive.jpg": encoded(RGB, "JPEG", progressive=True),
    "grey.jpg": encoded(PIL.Image.fromarray(GREY), "JPEG"),
    "turned.jpg": encoded(RGB, "JPEG", exif=TURNED),
    "camera.jpg": encoded(RGB, "MPO", **SECOND),  # a photograph with a preview behind it
    "rgb.bmp": encoded(RGB, "BMP"),
    "rgb.tif": tiff(SMOOTH),
    "planes.tif": tiff(np.moveaxis(SMOOTH, -1, 0), planarconfig="separate"),
    "deflated.tif": encoded(RGB, "TIFF", compression="tiff_adobe_deflate"),
    "lossless.webp": encoded(RGB, "WEBP", lossless=True),
    "lossy.webp": encoded(RGB, "WEBP"),
}

REFUSED = {
    "rgb16.png": (png16(WIDE), "has 16 bits per sample"),
    "grey16.png": (png16(WIDE[..., 0]), "has 16 bits per sample"),
    "rgb16.tif": (tiff(WIDE), "has 16 bits per sample"),
    "planes16.tif": (tiff(np.moveaxis(WIDE, -1, 0), planarconfig="separate"), "has 16 bits per sample"),
    "grey_float.tif": (tiff(GREY.astype(np.float32)), "has 32 bits per sample"),
    "rgb_float.tif": (tiff(SMOOTH.astype(np.float32)), "is no readable PNG"),
    "cmyk.jpg": (encoded(RGB.convert("CMYK"), "JPEG"), "holds CMYK pixels"),
    "alpha.png": (encoded(with_alpha(254), "PNG"), "has transparent pixels"),
    "grey_alpha.png": (encoded(with_alpha(0).convert("LA"), "PNG"), "has transparent pixels"),
    "palette_key.png": (encoded(RGB.quantize(4), "PNG", transparency=0), "has transparent pixels"),
    "colour_key.png": (encoded(RGB, "PNG", transparency=tuple(SMOOTH[0, 0].tolist())), "has transparent"),
    "moving.png": (encoded(RGB, "PNG", **SECOND), "holds 2 pictures"),
    "moving.webp": (encoded(RGB, "WEBP", **SECOND), "holds 2 pictures"),
    "pages.tif": (tiff(np.stack([SMOOTH, SMOOTH])), "holds 2 pictures"),
    "turned.tif": (encoded(RGB, "TIFF", tiffinfo={0x0112: 6}), "is stored turned"),
    "animation.gif": (encoded(RGB, "GIF"), "is no readable PNG"),
    "text.png": (b"no image at all", "is no readable PNG"),
    "empty.png": (b"", "is no readable PNG"),
    "bomb.png": (empty_png(20_000, 20_000), "has more than 200000000 pixels"),
    "scans.jpg": (with_scans(encoded(RGB, "JPEG", progressive=True), 100), "has more than 100 scans"),
    "thread.png": (empty_png(1, 70_000), "or 65535 a side"),
    "canvas.webp": (encoded(PIL.Image.new("RGB", (10_001, 10_000)), "WEBP", method=0), "more than 100000000"),
    "half.png": (empty_png(4, 5, (b"\0" + b"\x99" * 15) * 2), "lacks rows at its end"),
    "half_interlaced.png": (empty_png(8, 8, b"\0\x99\x99\x99" * 2, interlaced=1), "lacks rows at its end"),
}


@pytest.fixture
def put(tmp_path: Path) -> Any:
    def _put(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return _put


@pytest.mark.parametrize("interlaced", [0, 1])
def test_black_rows_that_are_there_are_taken(put: Any, interlaced: int) -> None:
    """Nothing but zeros, filters too: of nine rows, or of the seven passes of an interlaced image."""
    passes = [(2, 2), (2, 1), (1, 3), (3, 2), (2, 5), (5, 4), (4, 9)] if interlaced else [(9, 9)]
    rows = b"".join(b"\0" * (1 + 3 * width) * height for width, height in passes)
    path = put("black.png", empty_png(9, 9, rows, interlaced))
    assert not read_rgb(path).any()


def opencv(path: Path) -> np.ndarray:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.cvtColor(cv2.imread(str(path), flags), cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize("name", GOOD)
def test_every_format_decodes_as_in_opencv(put: Any, name: str) -> None:
    path = put(name, GOOD[name])
    image = read_rgb(path)
    np.testing.assert_array_equal(image, opencv(path))
    assert image.dtype == np.uint8 and image.flags.c_contiguous and image.flags.writeable
    assert image_shape(path) == image.shape[:2]


@pytest.mark.parametrize("name", REFUSED)
def test_what_rgb_cannot_hold_is_refused(put: Any, name: str) -> None:
    data, reason = REFUSED[name]
    path = put(name, data)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: .*{reason}") as caught:
        read_rgb(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png: no such image file"):
        read_rgb(tmp_path / "gone.png")
    with pytest.raises(InputError, match=f"{tmp_path}: does not decode"):
        image_shape(tmp_path)


@pytest.mark.parametrize("name", ["rgb.png", "half_chroma.jpg", "progressive.jpg", "rgb.bmp", "lossy.webp"])
def test_a_file_cut_short_anywhere_is_refused(put: Any, name: str) -> None:
    whole = GOOD[name]
    needed = len(whole) - {"rgb.png": 4, "rgb.bmp": 1}.get(name, 0)  # checksum of nothing; a row's padding
    for kept in {*range(0, needed, len(whole) // 25), needed - 5, needed - 1}:
        with pytest.raises(InputError):
            read_rgb(put(name, whole[:kept]))


def test_one_wrong_bit_in_a_png_is_never_taken_for_pixels(put: Any) -> None:
    whole = GOOD["rgb.png"]
    for position in range(0, len(whole) - 12, 11):  # the last 12 bytes say no more than: end
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        with pytest.raises(InputError):
            read_rgb(put("damaged.png", bytes(damaged)))


def test_shape_comes_from_the_header_alone(put: Any) -> None:
    assert image_shape(put("header.png", GOOD["rgb.png"][:100])) == SMOOTH.shape[:2]


def test_two_hundred_megapixels_pass_without_a_word(put: Any) -> None:
    """Above Pillow's own limit, in a process where nobody changed it."""
    path = put("large.png", empty_png(20_000, 10_000))
    code = "import sys, pathlib, edsr_int8.data.images as i; print(i.image_shape(pathlib.Path(sys.argv[1])))"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("(20000, 10000)\n", "")


def test_an_image_above_the_limit_is_refused_before_it_is_decoded(
    put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    monkeypatch.setattr(images, "MOST_PIXELS", SMOOTH.shape[0] * SMOOTH.shape[1] - 1)
    with pytest.raises(InputError, match=r"rgb\.png: 53x37 has more than 1960 pixels, .*cut it into smaller"):
        read_rgb(put("rgb.png", GOOD["rgb.png"]))


def test_written_png_is_read_by_opencv_and_is_the_same_every_time(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "one.png", tmp_path / "two.png"]
    for path in paths:
        write_png(path, SMOOTH)
    np.testing.assert_array_equal(opencv(paths[0]), SMOOTH)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("wrong", [SMOOTH.astype(np.float32), GREY, np.dstack([SMOOTH, GREY])])
def test_only_uint8_rgb_is_written(tmp_path: Path, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8 HWC RGB"):
        write_png(tmp_path / "x.png", wrong)
    assert not list(tmp_path.iterdir())


def test_only_a_plain_rgb_png_may_be_taken_as_it_is(put: Any) -> None:
    plain = {name for name, data in GOOD.items() if is_rgb_png(put(name, data))}
    assert plain == {"rgb.png"}


def test_a_damaged_tiff_is_refused_without_more_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tif"
    PIL.Image.new("RGB", (8, 8)).save(path)
    whole = path.read_bytes()
    samples_per_pixel = struct.pack("<HHIH", 277, 3, 1, 3)  # tag, type, count, value
    assert whole.count(samples_per_pixel) == 1
    path.write_bytes(whole.replace(samples_per_pixel, struct.pack("<HHIH", 277, 3, 1, 140)))
    with pytest.raises(InputError, match=r"a\.tif"):
        read_rgb(path)
    assert not caplog.records
