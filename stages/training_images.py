"""build/datasets -> build/training_images/<row>: the pairs that one row trains and validates on."""

from edsr_int8.data.pairs.subset import link_pairs
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run


def training_images(params: Params, name: str) -> None:
    training = row(params.training, name, "training")
    out = layout.training_images(name)
    for part, datasets in (("training", training.datasets), ("validation", training.validation)):
        for dataset in datasets:
            link_pairs(layout.dataset(dataset), out / part / dataset)


if __name__ == "__main__":
    run(training_images)
