"""What calibration gave a model -> build/digests/calibration/<model>: hashes of what each row reads of it.

So a change of a calibration image starts no row that calibrates nothing.
"""

from edsr_int8.data.pairs.subset import content_sha256
from edsr_int8.files import sha256, write_json
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run
from edsr_int8.pipeline.settings import calibration_read


def calibration_digests(params: Params, model: str) -> None:
    found = {
        "gptq_weights": sha256(layout.gptq(model)),
        "histograms": sha256(layout.histograms(model)),
        "images": content_sha256([layout.images(model) / "calibration"]),
        "losses": sha256(layout.sensitivity(model)),
    }
    for stage, rows in calibration_read(params).items():
        for precision, names in rows.items():
            out = layout.calibration_digest(model, stage, precision)
            write_json(out, {name: found[name] for name in names})


if __name__ == "__main__":
    run(calibration_digests)
