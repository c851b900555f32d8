"""Calibration images, histograms -> build/digests/observed/<model>: their hashes, for each reader.

A stage that no row needs depends on an empty list, and so does not start when these change.
"""

from edsr_int8.data.pairs.subset import content_sha256
from edsr_int8.files import sha256, write_json
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run
from edsr_int8.pipeline.settings import stages_needed


def observed_digests(params: Params, model: str) -> None:
    found = {
        "histograms": sha256(layout.histograms(model)),
        "images": content_sha256([layout.images(model) / "calibration"]),
    }
    for stage, needed in stages_needed(params).items():
        write_json(layout.observed_digest(model, stage), found if needed else {})


if __name__ == "__main__":
    run(observed_digests)
