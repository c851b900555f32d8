"""A build's images on every target -> build/scores/<model>/<precision>/<target>: scores, crops for the page.

And build/comparison/<model>/<precision>.json: how far each target's images are from exact integers.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from edsr_int8.artifacts import read_json
from edsr_int8.checkpoints.facts import read_facts
from edsr_int8.cluster.kept import unfinished
from edsr_int8.files import write_json
from edsr_int8.metrics.colours import colour_shifts, write_pictures
from edsr_int8.metrics.conformance import compare
from edsr_int8.metrics.fid.requested import RequestedFid, requested_fid
from edsr_int8.metrics.score_build import build_facts, fp32_outputs, score_build
from edsr_int8.metrics.scores import BuildScores, Score, Unscored, read_status, told, write_scores
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.executor import executor
from edsr_int8.pipeline.rows import NATIVE_SHAPE, REFERENCE_PRECISION, REFERENCE_TARGET, Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.targets.row import TargetRow


def evaluate(params: Params, model: str, precision: str) -> None:
    partial = layout.partial("evaluate", f"{model}-{precision}")
    with unfinished(partial, str(layout.scores(model, precision, ""))):
        for target in params.targets:
            score_target(params, model, precision, target, partial / target)
        compare_targets(params, model, precision)


def score_target(params: Params, model: str, precision: str, target: str, partial: Path) -> None:
    wanted = row(params.models, model, "models")
    outputs = layout.outputs(model, precision, target)
    out = layout.scores(model, precision, target)
    fp32 = None
    if precision != REFERENCE_PRECISION:
        own_target = layout.outputs(model, REFERENCE_PRECISION, target)
        fp32 = fp32_outputs(own_target, layout.outputs(model, REFERENCE_PRECISION, REFERENCE_TARGET))
    status = read_status(outputs)
    datasets: dict[str, dict[str, Score | Unscored]] = {}
    shifts: tuple[float, ...] = ()
    facts = build_facts(
        read_facts(layout.checkpoint(model)),
        layout.onnx(model, precision),
        wanted.fixed_shape or NATIVE_SHAPE,
    )
    ranges = read_json(layout.ranges(model, precision), dict[str, dict[str, int | float]], "quantize")
    if status == "ok":
        datasets = score_build(
            layout.images(model),
            outputs,
            fp32,
            out,
            datasets=wanted.evaluation,
            protocols=wanted.protocols,
            scale=wanted.scale,
            partial=partial,
            fid=requested_fid(read_json(layout.fid_probe(), RequestedFid | None, "probe"), executor()),
            executor=executor(),
        )
        shifts = colour_shifts(outputs, fp32, wanted.scale) if fp32 else ()
        if shifts:
            write_pictures(shifts, out)
    scores = BuildScores(status, facts, ranges, datasets, shifts)
    write_scores(out / "scores.json", scores)
    for line in told(scores):
        print(f"{model} {precision} {target}: {line}")


def compare_targets(params: Params, model: str, precision: str) -> None:
    """How far every other target's images are from those of `exact_row`; without one, nothing is compared."""
    reference = exact_row(params.targets)
    found = {}
    if reference:
        exact = layout.outputs(model, precision, reference)
        for name in params.targets:
            if name != reference:
                outputs = layout.outputs(model, precision, name)
                conformance = compare(outputs, exact, executor=executor())
                found[name] = {dataset: asdict(figures) for dataset, figures in conformance.items()}
    write_json(layout.comparison(model, precision), found)


def exact_row(targets: Mapping[str, TargetRow]) -> str:
    """The first row with runtime integer and rounding '', onnxruntime's rule; '' where there is none.

    A row of integer with another rounding shows how large a difference that rule alone makes: beside
    OpenVINO, which rounds as `fused` but for ties.
    """
    return next((n for n, row in targets.items() if row.runtime == "integer" and not row.rounding), "")


if __name__ == "__main__":
    run(evaluate)
