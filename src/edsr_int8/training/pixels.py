"""Image pairs, decoded once into one memory-mapped file: a crop costs no PNG decoding.

The operating system keeps in memory what there is room for: a set larger than memory (GoPro: 11 GB) trains,
and a small one stays in memory.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edsr_int8.artifacts import read_json
from edsr_int8.data.images import Image, read_rgb
from edsr_int8.data.pairs.read import Pair, read_pairs
from edsr_int8.errors import InputError
from edsr_int8.files import atomic, sha256, write_json
from edsr_int8.machine import cores
from edsr_int8.progress import bar

DECODED_AHEAD = 32  # pairs in memory while decoding: about 300 MB of DIV2K


@dataclass(frozen=True)
class Place:
    """Where one pair lies in the file; `lr_at` and `hr_at` are offsets in bytes."""

    name: str
    scale: int
    height: int  # of the low-resolution image
    width: int
    lr_at: int
    hr_at: int

    def fits(self, length: int) -> bool:
        """Whether it lies in a file of `length` bytes."""
        low = self.height * self.width * 3
        ends = (self.lr_at + low, self.hr_at + low * self.scale**2)
        if min(self.scale, self.height, self.width) < 1 or min(self.lr_at, self.hr_at) < 0:
            return False
        return max(ends) <= length


@dataclass(frozen=True)
class _Index:
    """What pixels.json tells of pixels.bin."""

    contents: Any  # of the scales and pairs that were decoded
    folders: list[list[Place]]
    bytes: int  # of pixels.bin


@dataclass(frozen=True)
class Pixels:
    """The pairs of several folders: `folders[f][i]` is the place of pair i of folder f."""

    memory: Image
    folders: Sequence[Sequence[Place]]
    contents: Any  # names and hashes of the pairs, in plain values: equal for equal pairs only

    def images(self, place: Place) -> tuple[Image, Image]:
        """(low, high) resolution, uint8 HWC RGB: views into the file."""
        height, width = place.height, place.width
        low = self._view(place.lr_at, height, width)
        return low, self._view(place.hr_at, height * place.scale, width * place.scale)

    def places(self) -> Iterator[Place]:
        """The places of all pairs, folder by folder."""
        return (place for folder in self.folders for place in folder)

    def _view(self, start: int, height: int, width: int) -> Image:
        return self.memory[start : start + height * width * 3].reshape(height, width, 3)


def decode(folders: Sequence[Path], *, scales: Sequence[int], store: Path) -> Pixels:
    """Decode the pairs of `folders`, each of one of the `scales`, or map what an earlier run left in `store`.

    A folder that is named twice is decoded once. One process at a time may use `store`. InputError: an empty
    folder, an image without its partner, one that does not decode, sizes that do not fit, a full disk.
    """
    once = list(dict.fromkeys(folders))
    pairs = [read_pairs(folder) for folder in once]
    with ThreadPoolExecutor(cores()) as pool:
        contents = [list(scales), [list(pool.map(_facts, some)) for some in pairs]]
    index, data = store / "pixels.json", store / "pixels.bin"
    known = _known(index)
    if (
        known is None or known.contents != contents
        or not data.exists() or data.stat().st_size != known.bytes
    ):  # fmt: skip
        unfinished = store.glob(f".{data.name}.*")  # by a killed run
        for stale in (index, data, *unfinished):
            stale.unlink(missing_ok=True)
        written = _write(pairs, scales, data)
        known = _Index(contents, written, data.stat().st_size)
        write_json(index, asdict(known))
    order = [once.index(folder) for folder in folders]
    memory = np.memmap(data, np.uint8, mode="c")  # nothing writes to it, but torch warns of read-only arrays
    return Pixels(memory, [known.folders[number] for number in order], [contents, order])


def _known(index: Path) -> _Index | None:
    """What an earlier run wrote about its store; None if there is no store, or a damaged one."""
    try:
        found: _Index = read_json(index, _Index, "train")
    except InputError:
        return None
    places = (place for folder in found.folders for place in folder)
    return found if all(place.fits(found.bytes) for place in places) else None


def _facts(pair: Pair) -> list[str]:
    """Name and hashes. No modification times: DVC may link the same files again during an unfinished run."""
    return [pair.name, sha256(pair.lr), sha256(_reference(pair))]


def _reference(pair: Pair) -> Path:
    if pair.hr is None:
        raise InputError(f"{pair.lr}: has no reference to learn from; give the datasets row an hr pattern")
    return pair.hr


def _write(pairs: Sequence[Sequence[Pair]], scales: Sequence[int], data: Path) -> list[list[Place]]:
    """Write all pixels to `data`; returns the places, folder by folder."""
    at, places = 0, [list[Place]() for _ in pairs]
    flat = [(number, pair) for number, folder in enumerate(pairs) for pair in folder]
    with atomic(data) as temporary, temporary.open("wb") as file:
        decoded = _decoded([pair for _, pair in flat])
        for (number, pair), (low, high) in zip(flat, bar(decoded, "decode", total=len(flat)), strict=True):
            scale = _scale(pair, low, high, scales)
            place = Place(pair.name, scale, low.shape[0], low.shape[1], at, at + low.size)
            places[number].append(place)
            file.write(low.tobytes() + high.tobytes())
            at += low.size + high.size
    return places


def _decoded(pairs: Sequence[Pair]) -> Iterator[tuple[Image, Image]]:
    with ThreadPoolExecutor(cores()) as pool:
        for first in range(0, len(pairs), DECODED_AHEAD):
            some = pairs[first : first + DECODED_AHEAD]
            lows = pool.map(lambda pair: read_rgb(pair.lr), some)
            highs = pool.map(lambda pair: read_rgb(_reference(pair)), some)
            yield from zip(lows, highs, strict=True)


def _scale(pair: Pair, low: Image, high: Image, scales: Sequence[int]) -> int:
    """How many times as high and wide `high` is as `low`. InputError: it is none of `scales`."""
    for scale in scales:
        if tuple(scale * length for length in low.shape[:2]) == high.shape[:2]:
            return scale
    sizes = "{1}x{0} and hr {3}x{2}".format(*low.shape[:2], *high.shape[:2])
    allowed = " or ".join(map(str, scales))
    raise InputError(f"{pair.lr}: lr is {sizes}; hr must be {allowed} times as high and wide")
