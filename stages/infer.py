"""A build on a target -> build/<model>/<precision>/<target>: its output for every evaluation image."""

import functools

from edsr_int8.checkpoints.facts import read_facts
from edsr_int8.metrics.colours import DATASET, KIND
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.executor import executor
from edsr_int8.pipeline.model_images import require_evaluation_images
from edsr_int8.pipeline.open_target import open_row
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.targets.execution.infer import infer as infer_images
from edsr_int8.targets.execution.infer import with_status
from edsr_int8.targets.torch_threads import set_torch_threads
from edsr_int8.targets.vacc.target import Vacc, accelerator_job


def infer(params: Params, model: str, precision: str, target: str) -> None:
    opened = open_row(params, target)
    set_torch_threads(opened.row)
    build = layout.onnx(model, precision)
    out = layout.outputs(model, precision, target)
    images = layout.images(model)
    names = row(params.models, model, "models").evaluation
    for name in names:
        require_evaluation_images(model, name)
    if isinstance(opened, Vacc):
        facts = read_facts(layout.checkpoint(model))
        float_model = layout.export(model) / "float.onnx"
        job = accelerator_job(model, facts, build, float_model, images, names)
        with_status(functools.partial(opened.run, job), out)
        return
    folders = [images / kind / name for kind in ("evaluation", "card") for name in names]
    if not opened.capabilities.seconds_per_gmac:  # the chart has more pixels than a simulator's images
        folders += [images / KIND / DATASET]
    datasets = {str(folder.relative_to(images)): folder for folder in folders if folder.is_dir()}
    partial = layout.partial("infer", f"{model}-{precision}-{target}")
    infer_images(opened, build, datasets, out, partial=partial, executor=executor())


if __name__ == "__main__":
    run(infer)
