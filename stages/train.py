"""build/training_images/<row> -> build/training/<row>: weights in the publisher's layout, and the curves."""

from dataclasses import replace
from pathlib import Path

from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.pipeline.torch_device import torch_device
from edsr_int8.training.loop import train as train_network
from edsr_int8.training.result import write_result


def train(params: Params, name: str) -> None:
    training = row(params.training, name, "training")
    images = layout.training_images(name)
    if Path(training.start).resolve() == layout.RANDOM_START.resolve():
        training = replace(training, start="")
    state = train_network(
        name,
        training,
        datasets=[images / "training" / dataset for dataset in training.datasets],
        validation=[images / "validation" / dataset for dataset in training.validation],
        partial=layout.partial("train", name),
        device=torch_device(),
    )
    write_result(state, training, layout.training(name))


if __name__ == "__main__":
    run(train)
