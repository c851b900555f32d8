"""build/<model>/checkpoint -> build/<model>/export: float and uint8 ONNX, compared with torch."""

from skimage.data import astronaut

from edsr_int8.export import export as export_network
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run

CROP = (slice(0, 96), slice(180, 284))  # face and background, height and width unequal


def export(_: Params, model: str) -> None:
    export_network(layout.checkpoint(model), astronaut()[CROP], layout.export(model))


if __name__ == "__main__":
    run(export)
