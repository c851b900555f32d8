"""build/datasets -> build/selected/<row>: the pairs that one row trains and validates on."""

from edsr_int8 import layout
from edsr_int8.data.select import select_pairs
from edsr_int8.params import Params, row
from stages.run import run


def select_training(params: Params, name: str) -> None:
    wanted, out = row(params.training, name, "training"), layout.training_images(name)
    for part, datasets in (("training", wanted.datasets), ("validation", wanted.validation)):
        for dataset in datasets:
            select_pairs(layout.dataset(dataset), out / part / dataset)


if __name__ == "__main__":
    run(select_training)
