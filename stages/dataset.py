"""The folder of a `datasets` row -> build/datasets/<row>: its pairs, every image an 8-bit RGB PNG."""

from edsr_int8.data.pairs.dataset import make_dataset
from edsr_int8.errors import InputError
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run


def dataset(params: Params, name: str) -> None:
    try:
        make_dataset(row(params.datasets, name, "datasets"), layout.dataset(name))
    except InputError as error:
        raise InputError(f"datasets.{name}: {error}") from None


if __name__ == "__main__":
    run(dataset)
