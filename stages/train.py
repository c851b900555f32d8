"""build/selected/<row> -> build/training/<row>: weights in the publisher's layout, and the curves."""

from dataclasses import fields
from pathlib import Path

from edsr_int8.pipeline import layout
from edsr_int8.pipeline.params import Params, description, row
from edsr_int8.pipeline.run import run
from edsr_int8.training.loop import train as train_network
from edsr_int8.training.options import TrainingOptions
from edsr_int8.training.result import write_result


def train(params: Params, name: str) -> None:
    wanted, images = row(params.training, name, "training"), layout.training_images(name)
    knobs = {field.name: getattr(wanted, field.name) for field in fields(TrainingOptions)}
    knobs["start"] = "" if Path(wanted.start).resolve() == layout.RANDOM_START.resolve() else wanted.start
    state = train_network(
        name, description(wanted), TrainingOptions(**knobs), source=wanted.source,
        training=[images / "training" / dataset for dataset in wanted.datasets],
        validation=[images / "validation" / dataset for dataset in wanted.validation],
        partial=layout.partial("train", name),
    )  # fmt: skip
    write_result(state, description(wanted), source=wanted.source, out=layout.training(name))


if __name__ == "__main__":
    run(train)
