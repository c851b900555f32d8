"""A row of `precisions` -> what it asks of the quantizer."""

from edsr_int8.params import Precision
from edsr_int8.quantization.options import Preparation, Ranges


def preparation(row: Precision) -> Preparation:
    ranges = Ranges(row.ranges, row.percentile, row.overrides)
    return Preparation(
        ranges,
        mix=row.mix,
        even=row.even,
        share=row.share,
        narrow=row.narrow,
        bypass=row.bypass,
        gptq=row.gptq,
        bias_correction=row.bias_correction,
        tuning=row.tuning,
    )
