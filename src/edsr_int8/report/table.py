"""The table of quality: a row for every build, data set and protocol."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from edsr_int8.errors import InputError
from edsr_int8.metrics.conformance import Conformance
from edsr_int8.metrics.protocols import PROTOCOLS
from edsr_int8.metrics.scores import Score, Unscored
from edsr_int8.pipeline.rows import REFERENCE_PRECISION
from edsr_int8.report.columns import columns, text
from edsr_int8.report.placement import ran
from edsr_int8.report.results import BuildKey, Results
from edsr_int8.report.warnings import warnings

Decibels = Annotated[float | None, ".4f"]
Similarity = Annotated[float | None, ".6f"]
Millions = Annotated[float, ".6f"]
Published = Annotated[float | None, ".3f"]


@dataclass(frozen=True)
class QualityRow:
    """A row of table.csv; docs/protocols.md says what each column means. None is an empty cell."""

    model: str
    source: str
    precision: str
    target: str
    dataset: str
    protocol: str
    images: Annotated[int | None, "d"]
    shape: str
    psnr_db: Decibels
    ssim: Similarity
    fid: Annotated[float | None, ".4f"]
    input_psnr_db: Decibels
    psnr_drop_db: Decibels
    fidelity_db: Decibels
    params_m: Millions
    gmacs: Annotated[float, ".3f"]
    model_mb: Annotated[float, ".3f"]
    status: str
    warning: str
    worst_drop_db: Decibels
    worst_image: str | None
    worst_colour_shift: Annotated[float | None, ".2f"]
    high_precision_mac_share: Annotated[float, ".4f"]
    high_precision_byte_share: Annotated[float, ".4f"]
    integer_equal_share: Annotated[float | None, ".6f"]
    integer_max_difference: Annotated[int | None, "d"]
    fid_patches: Annotated[int | None, "d"]
    fid_skipped: str | None
    card_flops_g: Annotated[float, ".3f"]
    reference_psnr_db: Published
    reference_ssim: Published
    reference_card_flops_g: Published
    reference_params_m: Published

    @property
    def build(self) -> BuildKey:
        return BuildKey(self.model, self.precision, self.target)


FIGURES = ("psnr_db", "ssim", "fid", "input_psnr_db", "psnr_drop_db", "fidelity_db")  # in metrics.json


def quality(results: Results) -> list[QualityRow]:
    """One row for every build, data set and protocol, in the order of params.yaml.

    A build that its target could not run keeps its rows, with the reason and without figures.
    """
    return [
        _quality_row(results, key, dataset, protocol)
        for key in results.builds
        for dataset in results.models[key.model].evaluation
        for protocol in results.models[key.model].protocols
    ]


def _quality_row(results: Results, key: BuildKey, dataset: str, protocol: str) -> QualityRow:
    model, build = results.models[key.model], results.builds[key]
    facts = build.scores.facts
    entry = results.entry(key, dataset, protocol)
    score = entry if isinstance(entry, Score) else None
    fp32 = results.score(results.reference(key), dataset, protocol)
    conformance = _conformance(build.conformance, dataset, protocol)
    drops = image_drops(score, fp32)
    worst = max(drops, key=lambda name: drops[name], default=None)
    fid = score and score.fid
    published = partial(published_figure, model.reference, key.precision, protocol)
    return QualityRow(
        model=key.model,
        source=model.source,
        precision=key.precision,
        target=key.target,
        dataset=dataset,
        protocol=protocol,
        images=score and score.images,
        shape=shape_text(model.fixed_shape),
        psnr_db=score and score.psnr_db,
        ssim=score and score.ssim,
        fid=fid and fid.distance,
        input_psnr_db=score and score.input_psnr_db,
        psnr_drop_db=fp32.psnr_db - score.psnr_db if fp32 and score else None,
        fidelity_db=score and score.fidelity_db,
        params_m=facts.params / 1e6,
        gmacs=facts.gmacs,
        model_mb=facts.model_bytes / 1e6,
        status=f"unavailable: {entry.reason}" if isinstance(entry, Unscored) else ran(results, key),
        warning="; ".join(warnings(results, key, dataset, protocol)),
        worst_drop_db=None if worst is None else drops[worst],
        worst_image=worst,
        worst_colour_shift=max(build.scores.colour_shifts, default=None),
        high_precision_mac_share=facts.high_precision_mac_share,
        high_precision_byte_share=facts.high_precision_byte_share,
        integer_equal_share=conformance and conformance.equal_share,
        integer_max_difference=conformance and conformance.max_difference,
        fid_patches=fid and fid.patches,
        fid_skipped=fid and fid.reason,
        card_flops_g=facts.card_flops_g,
        reference_psnr_db=published("psnr_db"),
        reference_ssim=published("ssim"),
        reference_card_flops_g=model.reference.get("card_flops_g"),
        reference_params_m=model.reference.get("params_m"),
    )


def image_drops(score: Score | None, fp32: Score | None) -> dict[str, float]:
    """Image -> its PSNR in fp32 minus its PSNR in `score`, in dB; empty where one of the two is missing.

    InputError: the two are of other images, so one of them is damaged.
    """
    if score is None or fp32 is None:
        return {}
    psnr_db = {image.name: image.psnr_db for image in fp32.per_image}
    if unknown := [image.name for image in score.per_image if image.name not in psnr_db]:
        raise InputError(
            f"build/scores: {unknown[0]!r} is an image of one build only; delete it and run again"
        )
    return {image.name: psnr_db[image.name] - image.psnr_db for image in score.per_image}


def _conformance(found: Mapping[str, Conformance], dataset: str, protocol: str) -> Conformance | None:
    kind = "card" if PROTOCOLS[protocol].fixed_shape else "evaluation"
    return found.get(f"{kind}/{dataset}")


def published_figure(
    reference: Mapping[str, float], precision: str, protocol: str, figure: str
) -> float | None:
    """What others published for a row: under its protocol, or else without naming one; of fp32 or of int8."""
    build = "" if precision == REFERENCE_PRECISION else "int8_"
    return reference.get(f"{protocol}_{build}{figure}", reference.get(f"{build}{figure}"))


def shape_text(shape: tuple[int, int] | None) -> str:
    """'height x width', without spaces; 'native' where images keep their own shapes."""
    return "native" if shape is None else f"{shape[0]}x{shape[1]}"


def metrics(rows: Iterable[QualityRow]) -> dict[str, Any]:
    """The figures, as the table rounds them: {model: {precision: {target: {dataset: {protocol: {...}}}}}}."""
    formats = columns(QualityRow)
    tree: dict[str, Any] = {}
    for row in rows:
        cells = {name: text(getattr(row, name), formats[name]) for name in FIGURES}
        if figures := {name: float(cell) for name, cell in cells.items() if cell}:
            leaf = tree
            for name in (*row.build, row.dataset):
                leaf = leaf.setdefault(name, {})
            leaf[row.protocol] = figures
    return tree
