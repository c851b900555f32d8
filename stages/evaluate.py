"""A build's images -> build/scores/<model>/<precision>/<target>: their scores, and crops for the page."""

from edsr_int8.artifacts import read_json
from edsr_int8.checkpoints.facts import read_facts
from edsr_int8.cluster.kept import unfinished
from edsr_int8.metrics.colours import colour_shifts, write_pictures
from edsr_int8.metrics.fid.requested import RequestedFid, requested_fid
from edsr_int8.metrics.score_build import build_facts, fp32_outputs, score_build
from edsr_int8.metrics.scores import BuildScores, Score, Unscored, read_status, write_scores
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.executor import executor
from edsr_int8.pipeline.rows import NATIVE_SHAPE, REFERENCE_PRECISION, REFERENCE_TARGET, Params, row
from edsr_int8.pipeline.run import run


def evaluate(params: Params, model: str, precision: str, target: str) -> None:
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
    partial = layout.partial("evaluate", f"{model}-{precision}-{target}")
    with unfinished(partial, str(out)):
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
        write_scores(out / "scores.json", BuildScores(status, facts, ranges, datasets, shifts))


if __name__ == "__main__":
    run(evaluate)
