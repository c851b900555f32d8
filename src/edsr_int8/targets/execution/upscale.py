"""One image through one build, within the target's memory budget."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edsr_int8.data.images import Image
from edsr_int8.files import temporary_folder
from edsr_int8.targets.base import Runner, Target, Unavailable
from edsr_int8.targets.execution.build import Build, read_build
from edsr_int8.targets.execution.partition import save_subgraphs
from edsr_int8.tiling import MIB, apply_tiled, tile_shape

# What an image takes besides the network: its array (3), Pillow's own (4), a copy between them (3).
BYTES_PER_IMAGE_PIXEL = 10
# Memory is reserved for tiles of at least this length in the subgraph that enlarges: with a halo of 2
# pixels, at most 13 % more work.
LEAST_ENLARGED = 64
Shape = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Upscaler:
    """A build, loaded on a target."""

    target: Target
    build: Build
    runners: tuple[Runner, ...]  # of the build's subgraphs, or of the whole build where `shape` is fixed
    shape: Shape | None  # the one tile that the target runs; None: any

    def __call__(self, image: Image, *, held_bytes: int = 0) -> Image:
        """uint8 HWC RGB -> the same type, `scale` times as high and wide.

        `held_bytes`: memory that other images take at the same time. InputError: the budget is too small
        for one tile, or the image is smaller than the fixed tile. Unavailable: the runtime fails.
        """
        planes = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
        tile, inner = self.tiles(*image.shape[:2], held_bytes=held_bytes)
        whole, last = self.build.whole, self.build.subgraphs[-1]
        first, *second = self.runners

        def run(pixels: np.ndarray) -> np.ndarray:
            features = first(pixels)
            if not second:
                return features
            return apply_tiled(second[0], features, scale=last.scale, radius=last.radius, tile=inner)

        output = apply_tiled(run, planes, scale=whole.scale, radius=whole.radius, tile=tile)
        return np.ascontiguousarray(output[0].transpose(1, 2, 0))

    def tiles(self, height: int, width: int, *, held_bytes: int = 0) -> tuple[Shape, Shape]:
        """The tile of an image of this height and width, and the tile of its second subgraph inside it.

        InputError names the budget that would be enough.
        """
        if self.shape:
            return self.shape, self.shape
        needs = self.target.capabilities
        budget_bytes = self.target.row.memory_budget_mb * MIB
        own_bytes = BYTES_PER_IMAGE_PIXEL * height * width * (1 + self.build.whole.scale**2)
        weight_bytes = int(needs.weight_factor * self.build.weight_bytes)
        fixed_bytes = needs.overhead_bytes + weight_bytes + own_bytes + held_bytes
        first, *second = (subgraph.memory_per_pixel(needs) for subgraph in self.build.subgraphs)
        reserved_bytes = int(sum(second) * min(LEAST_ENLARGED, height) * min(LEAST_ENLARGED, width))
        if second:
            first += self.build.subgraphs[0].output_bytes  # kept while the second subgraph runs
        tile = tile_shape(
            height,
            width,
            radius=self.build.whole.radius,
            budget_bytes=budget_bytes,
            bytes_per_pixel=first,
            fixed_bytes=fixed_bytes + reserved_bytes,
        )
        if not second:
            return tile, tile
        inner = tile_shape(
            *tile,
            radius=self.build.subgraphs[-1].radius,
            budget_bytes=budget_bytes,
            bytes_per_pixel=second[0],
            fixed_bytes=fixed_bytes + int(first * tile[0] * tile[1]),
        )
        return tile, inner


def open_build(target: Target, model: Path, *, shape: Shape | None = None) -> Upscaler:
    """Load `model` on `target`; for tiles of one shape only where the row has a tile, or `shape` is given.

    Unavailable: the target cannot run this build. InputError: `model` is no build.
    """
    build = read_build(model)
    require(target, build.dtype, build.scheme)
    shape = target.row.tile or shape
    if shape:
        return Upscaler(target, build, (target.load(model, height=shape[0], width=shape[1]),), shape)
    if not target.capabilities.dynamic_shape:
        raise Unavailable(f"{target.row.runtime} runs one shape; give its row a tile: [height, width]")
    if len(build.subgraphs) == 1:
        return Upscaler(target, build, (target.load(model),), None)
    with temporary_folder() as folder:
        try:
            runners = tuple(target.load(path) for path in save_subgraphs(model, folder))
        except Unavailable as error:
            raise Unavailable(str(error).replace(f"{folder}/", "")) from None
    return Upscaler(target, build, runners, None)


def require(target: Target, dtype: str, scheme: str = "") -> None:
    """Unavailable, with the reason, where `target` runs no builds of `dtype`, or would misread a `scheme`."""
    can = target.capabilities
    if dtype not in can.dtypes:
        only = f"{target.row.runtime} runs {' and '.join(can.dtypes)} builds, not {dtype}"
        raise Unavailable(can.why_not.get(dtype, only))
    if scheme and scheme not in can.schemes:
        raise Unavailable(
            f"{target.row.runtime} would misread the codes of {scheme}; "
            f"it takes scheme: {' or '.join(sorted(can.schemes))}"
        )
