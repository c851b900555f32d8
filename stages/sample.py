"""The photographs inside the scikit-image package -> build/sample."""

from edsr_int8.data.sample import make_sample
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run


def sample(_: Params) -> None:
    make_sample(layout.SAMPLE)


if __name__ == "__main__":
    run(sample)
