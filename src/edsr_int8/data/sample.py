"""Photographs that need no download: those inside the scikit-image package.

The documentation of `skimage.data` says where each comes from.
"""

from pathlib import Path

import skimage

from edsr_int8.data.images import Image, read_rgb, write_png
from edsr_int8.errors import InputError
from edsr_int8.files import atomic_folder, sha256
from edsr_int8.progress import bar

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
PACKAGE = "scikit-image==0.26.0"  # the hashes are those of its files
EVALUATION = {
    "astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    "chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    "coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    "rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
}
CALIBRATION = {
    "hubble_deep_field.jpg": "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
    "ihc.png": "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef",
    "motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
    "motorcycle_right.png": "5fc913ae870e42a4b662314bc904d1786bcad8e2f0b9b67dba5a229406357797",
    "retina.jpg": "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6",
}
CROPPED = {"retina.jpg": 512}  # side of its centre crop: the whole is a disc on black, 1411x1411


def make_sample(out: Path) -> None:
    """Write out/{evaluation,calibration}/<name>.png: all or nothing, the same bytes every time.

    InputError: the installed scikit-image has other files.
    """
    photographs = {"evaluation": EVALUATION, "calibration": CALIBRATION}
    files = [(part, name, digest) for part, names in photographs.items() for name, digest in names.items()]
    with atomic_folder(out) as folder:
        for part, name, digest in bar(files, "sample", unit="image"):
            write_png(folder / part / f"{Path(name).stem}.png", _photograph(name, digest))


def _photograph(name: str, digest: str) -> Image:
    path = PHOTOGRAPHS / name
    if not path.is_file() or sha256(path) != digest:
        raise InputError(f"{path}: not the photograph that the sample is made of; pip install {PACKAGE}")
    image = read_rgb(path)
    return _centre(image, CROPPED[name]) if name in CROPPED else image


def _centre(image: Image, side: int) -> Image:
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]
