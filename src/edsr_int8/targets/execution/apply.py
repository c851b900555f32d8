"""One picture through one build: for people who just want the picture."""

from pathlib import Path

from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.errors import InputError
from edsr_int8.targets.base import Unavailable, open_target
from edsr_int8.targets.execution.upscale import open_build
from edsr_int8.targets.row import TargetRow


def apply_image(model: Path, source: Path, destination: Path, row: TargetRow) -> None:
    """Read `source`, of any format that the data sets take, and write what `model` makes of it as PNG.

    A photograph comes out upright; a turned TIFF is refused. Tiled within the row's memory budget.
    InputError: the image cannot be read, the target cannot run the build, or the budget is too small;
    nothing is written then.
    """
    if destination.suffix.lower() != ".png":
        raise InputError(f"{destination}: would lose what the network restores; name a .png file")
    if destination.is_dir():
        raise InputError(f"{destination}: is a folder; name a file")
    target = open_target(row)
    if not target.capabilities.dynamic_shape:
        raise InputError(f"--target: {row.runtime} runs one fixed shape, no picture of any")
    image = read_rgb(source, upright=True)
    try:
        write_png(destination, open_build(target, model)(image))
    except Unavailable as error:
        raise InputError(str(error)) from None
