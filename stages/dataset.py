"""The folder of a `datasets` row -> build/datasets/<row>: its pairs, every image an 8-bit RGB PNG."""

from dataclasses import asdict
from pathlib import Path

from edsr_int8.data.pairs.dataset import make_dataset
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run


def dataset(params: Params, name: str) -> None:
    options = asdict(row(params.datasets, name, "datasets"))
    make_dataset(name, Path(options.pop("path")), layout.dataset(name), **options)


if __name__ == "__main__":
    run(dataset)
