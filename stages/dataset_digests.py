"""build/datasets -> build/digests/datasets: for each row that reads data sets, their hashes.

So a change of one data set starts the rows that read it: DVC cannot name the data sets of a row, which are a
list, and the stages of all rows would have to look.
"""

import functools

from edsr_int8.data.pairs.subset import content_sha256
from edsr_int8.files import write_json
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run
from edsr_int8.pipeline.settings import datasets_read


def dataset_digests(params: Params) -> None:
    digest = functools.cache(lambda name: content_sha256([layout.dataset(name)]))
    for section, rows in datasets_read(params).items():
        for row, names in rows.items():
            write_json(layout.dataset_digest(section, row), {name: digest(name) for name in names})


if __name__ == "__main__":
    run(dataset_digests)
