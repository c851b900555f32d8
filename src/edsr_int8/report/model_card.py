"""The results as a model card prints them: card.md, to paste into a model zoo."""

from collections.abc import Iterable, Sequence

from edsr_int8.metrics.protocols import PROTOCOLS
from edsr_int8.pipeline.rows import REFERENCE_PRECISION, REFERENCE_TARGET
from edsr_int8.report.columns import text
from edsr_int8.report.markdown import aligned, lines_below
from edsr_int8.report.results import Results
from edsr_int8.report.table import QualityRow

COLUMNS = ("Models", "Source", "Flops(G)", "Params(M)", "PSNR(dB)", "SSIM", "Shape")
PROJECTS = {
    "official": "[Official](https://github.com/sanghyun-son/EDSR-PyTorch)",
    "basicsr": "[BasicSR](https://github.com/XPixelGroup/BasicSR)",
}
HEAD = """\
# Model card

Measured by edsr-int8; published figures in brackets, under the publisher's own protocol and images.
Flops(G) is counted as the card counts it, 2 MACs / 0.9, for an input of the shape stated, or of 3x256x256
where a network takes any shape."""


def as_card(results: Results, rows: Sequence[QualityRow]) -> str:
    """A table for each data set and protocol, in the card's own columns.

    fp32 has one row for each model, other precisions one for each target. Warnings stand below.
    """
    sections = [HEAD]
    for dataset, protocol in dict.fromkeys((row.dataset, row.protocol) for row in rows):
        scored = [row for row in rows if (row.dataset, row.protocol) == (dataset, protocol)]
        sections.append(_section(results, dataset, protocol, scored))
    below = "\n".join(f"- {line}" for line in lines_below(rows))
    return "\n\n".join([*sections, below]).rstrip()


def _section(results: Results, dataset: str, protocol: str, rows: Iterable[QualityRow]) -> str:
    shown = [row for row in rows if row.psnr_db is not None and _is_shown(row)]
    cells = [_cells(results, row) for row in shown]
    images = max((row.images or 0 for row in shown), default=0)
    title = f"## {dataset}, protocol {protocol}: {PROTOCOLS[protocol].channels}, {images} images"
    return "\n".join([title, "", *aligned([COLUMNS, *cells], [False, False, *[True] * 4, False])])


def _is_shown(row: QualityRow) -> bool:
    return row.precision != REFERENCE_PRECISION or row.target == REFERENCE_TARGET


def _cells(results: Results, row: QualityRow) -> list[str]:
    psnr = _beside(row.psnr_db, row.reference_psnr_db)
    ssim = _beside(row.ssim, row.reference_ssim)
    fixed = results.models[row.model].fixed_shape
    shape = f"3x{fixed[0]}x{fixed[1]}" if fixed else "multi-shape"
    if row.precision != REFERENCE_PRECISION:
        return [f"{row.model} **{row.target} {row.precision}**", "-", "-", "-", psnr, ssim, shape]
    flops = _beside(row.card_flops_g, row.reference_card_flops_g)
    params = _beside(row.params_m, row.reference_params_m)
    return [row.model, PROJECTS.get(row.source, row.source), flops, params, psnr, ssim, shape]


def _beside(measured: float | None, published: float | None) -> str:
    return text(measured, ".3f") + (f" ({published:.3f})" if published is not None else "")
