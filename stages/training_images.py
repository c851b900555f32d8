"""build/datasets -> build/selected/<row>: the pairs that one row trains and validates on."""

from edsr_int8.data.pairs.select import select_pairs
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run


def training_images(params: Params, name: str) -> None:
    wanted, out = row(params.training, name, "training"), layout.training_images(name)
    for part, datasets in (("training", wanted.datasets), ("validation", wanted.validation)):
        for dataset in datasets:
            select_pairs(layout.dataset(dataset), out / part / dataset)


if __name__ == "__main__":
    run(training_images)
