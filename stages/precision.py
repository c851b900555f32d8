"""A row of `precisions` -> what it asks of the quantizer."""

from dataclasses import asdict

from edsr_int8.params import Precision
from edsr_int8.quantization.options import Override, Preparation, Ranges


def preparation(row: Precision) -> Preparation:
    overrides = tuple(Override(**asdict(override)) for override in row.overrides)
    ranges = Ranges(row.ranges, row.percentile, overrides)
    flags = {name: getattr(row, name) for name in ("mix", "even", "share", "bias_correction")}
    return Preparation(ranges=ranges, **flags, **asdict(row.tuning))
