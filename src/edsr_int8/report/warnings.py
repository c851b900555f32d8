"""What is wrong with a row although its build ran: an unfit network, calibration that does not fit."""

from collections.abc import Iterator

from edsr_int8.pipeline.rows import REFERENCE_PRECISION
from edsr_int8.report.results import BuildKey, Results

# Of a tensor's values on evaluation images, the share outside the range that calibration gives it. Sets of
# photographs reach 0.1 % with each other (BSD100 with DIV2K and Set5); two flat images as calibration 27 %.
CLIPPED_LIMIT = 0.005


def warnings(results: Results, key: BuildKey, dataset: str, protocol: str) -> list[str]:
    """One line each, without '; ' and without the row's figures: rows of one model share their lines."""
    return [*_below_input(results, key, dataset, protocol), *_calibration(results, key, dataset)]


def _below_input(results: Results, key: BuildKey, dataset: str, protocol: str) -> Iterator[str]:
    score = results.score(key, dataset, protocol)
    if score is None or score.psnr_db >= score.input_psnr_db:
        return
    fp32 = score
    if key.precision != REFERENCE_PRECISION:
        fp32 = results.score(results.reference(key), dataset, protocol) or score
    if fp32.psnr_db < fp32.input_psnr_db:
        yield "fp32 scores below its own input: check the model's weights, res_scale and source"
    else:
        yield f"{key.precision} scores below its own input, and fp32 does not"


def _calibration(results: Results, key: BuildKey, dataset: str) -> Iterator[str]:
    if not results.recipes[key.precision].ranges:
        return  # nothing is calibrated
    if results.models[key.model].calibration == dataset:
        yield f"calibrated on the images of {dataset}, which are scored: name another set"
    clipped = results.analyses[key.model].clipped
    worst = max(clipped, key=lambda name: clipped[name], default="")
    if clipped.get(worst, 0.0) > CLIPPED_LIMIT:
        share, limit = 100 * clipped[worst], 100 * CLIPPED_LIMIT
        yield (
            "the calibration images do not cover the evaluation images: "
            f"{share:.1f} % of the values of {worst} lie outside its range (limit {limit:g} %)"
        )
