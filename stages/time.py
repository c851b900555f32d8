"""A build on each target -> build/timings/<model>/<precision>/<target>: how fast, and in how much memory."""

from dataclasses import asdict

from edsr_int8.files import write_json
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.open_target import open_row
from edsr_int8.pipeline.rows import NATIVE_SHAPE, Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.targets.execution.timing import measure


def time(params: Params, model: str, precision: str) -> None:
    height, width = row(params.models, model, "models").fixed_shape or NATIVE_SHAPE
    build = layout.onnx(model, precision)
    for target in params.targets:
        timing = measure(open_row(params, target), build, height=height, width=width)
        write_json(layout.timing(model, precision, target), asdict(timing))


if __name__ == "__main__":
    run(time)
