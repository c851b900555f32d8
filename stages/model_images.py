"""build/datasets -> build/<model>/images: what one model is calibrated and scored on."""

from edsr_int8.data.pairs.select import select_calibration, select_pairs
from edsr_int8.metrics.card_pairs import write_card_pairs
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run


def model_images(params: Params, model: str) -> None:
    wanted, out = row(params.models, model, "models"), layout.images(model)
    select_calibration(
        layout.dataset(wanted.calibration), out / "calibration", images=params.calibration.images
    )
    for name in wanted.evaluation:
        select_pairs(layout.dataset(name), out / "evaluation" / name)
        if wanted.fixed_shape and "card" in wanted.protocols:
            source, target = layout.dataset(name), out / "card" / name
            write_card_pairs(source, target, shape=wanted.fixed_shape, scale=wanted.scale)


if __name__ == "__main__":
    run(model_images)
