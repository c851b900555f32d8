"""A build on a target -> build/<model>/<precision>/<target>: what it makes of the evaluation images."""

from functools import partial

from edsr_int8.checkpoints.facts import read_facts
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.open_target import open_row
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.targets.execution.infer import infer as infer_images
from edsr_int8.targets.execution.infer import with_status
from edsr_int8.targets.vacc.target import Vacc, card_job


def infer(params: Params, model: str, precision: str, target: str) -> None:
    names, images = row(params.models, model, "models").evaluation, layout.images(model)
    build, out = layout.onnx(model, precision), layout.outputs(model, precision, target)
    opened = open_row(params, target)
    if isinstance(opened, Vacc):
        facts, float_model = read_facts(layout.checkpoint(model)), layout.export(model) / "float.onnx"
        job = card_job(model, facts, build, float_model, images, names)
        with_status(partial(opened.run, job), out)
        return
    folders = [images / kind / name for kind in ("evaluation", "card") for name in names]
    datasets = {str(folder.relative_to(images)): folder for folder in folders if folder.is_dir()}
    infer_images(opened, build, datasets, out)


if __name__ == "__main__":
    run(infer)
