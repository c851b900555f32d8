"""A row of `precisions` -> what it asks of the quantizer."""

from edsr_int8.params import Precision
from edsr_int8.quantization.options import Preparation, Ranges


def preparation(row: Precision) -> Preparation:
    ranges = Ranges(row.ranges, row.percentile, row.overrides)
    return Preparation(
        ranges, row.mix, row.even, row.share, row.bypass, row.gptq, row.bias_correction, row.tuning
    )
