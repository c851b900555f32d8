"""build/datasets -> build/<model>/images: the images that one model is calibrated and scored on."""

from edsr_int8.data.pairs.subset import link_calibration, link_pairs
from edsr_int8.metrics.card_pairs import write_card_pairs
from edsr_int8.metrics.colours import write_chart
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run


def model_images(params: Params, name: str) -> None:
    model = row(params.models, name, "models")
    out = layout.images(name)
    calibration = layout.dataset(model.calibration)
    link_calibration(calibration, out / "calibration", images=params.calibration.images)
    write_chart(out)
    for dataset in model.evaluation:
        pairs = layout.dataset(dataset)
        link_pairs(pairs, out / "evaluation" / dataset)
        if model.fixed_shape and "card" in model.protocols:
            card = out / "card" / dataset
            write_card_pairs(pairs, card, shape=model.fixed_shape, scale=model.scale)


if __name__ == "__main__":
    run(model_images)
