"""A build's images -> build/scores/<model>/<precision>/<target>: what they score, and crops for the page."""

from edsr_int8.checkpoints.facts import read_facts
from edsr_int8.files import read_json, write_json
from edsr_int8.metrics.fid.distance import distance
from edsr_int8.metrics.scores import build_facts, fp32_outputs, score_build
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import NATIVE_SHAPE, REFERENCE_PRECISION, REFERENCE_TARGET, Params, row
from edsr_int8.pipeline.run import run


def evaluate(params: Params, model: str, precision: str, target: str) -> None:
    wanted, out = row(params.models, model, "models"), layout.scores(model, precision, target)
    outputs, fp32 = layout.outputs(model, precision, target), None
    if precision != REFERENCE_PRECISION:
        own, other = (layout.outputs(model, REFERENCE_PRECISION, t) for t in (target, REFERENCE_TARGET))
        fp32 = fp32_outputs(own, other)
    status, scores = read_json(outputs / "status.json")["status"], {}
    if status == "ok":
        named = {"datasets": wanted.evaluation, "protocols": wanted.protocols, "scale": wanted.scale}
        far = distance(read_json(layout.fid_probe()))
        scores = score_build(layout.images(model), outputs, fp32, out, distance=far, **named)
    facts = build_facts(
        read_facts(layout.checkpoint(model)),
        layout.onnx(model, precision),
        wanted.fixed_shape or NATIVE_SHAPE,
    )
    names = {"model": model, "precision": precision, "target": target, "status": status}
    ranges = read_json(layout.ranges(model, precision))
    write_json(out / "scores.json", {**names, "facts": facts, "ranges": ranges, "datasets": scores})


if __name__ == "__main__":
    run(evaluate)
