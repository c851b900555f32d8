"""build/datasets -> build/<model>/images: the images that one model is calibrated and scored on."""

import functools

from edsr_int8.data.pairs.subset import content_sha256, link_calibration, link_pairs
from edsr_int8.files import write_json
from edsr_int8.metrics.card_pairs import write_card_pairs
from edsr_int8.metrics.colours import KIND, write_chart
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run

SCORED = ("card", KIND, "evaluation")  # folders of images that builds run on


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
    digest = functools.cache(lambda kinds: content_sha256(out / kind for kind in kinds))
    for target, its in params.targets.items():
        # The accelerator's compiler calibrates on its own.
        read = (*SCORED, "calibration") if its.runtime == "vacc" else SCORED
        write_json(layout.read_by(name, target), digest(read))


if __name__ == "__main__":
    run(model_images)
