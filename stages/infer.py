"""A build on a target -> build/<model>/<precision>/<target>: what it makes of the evaluation images."""

from edsr_int8 import layout
from edsr_int8.params import Params, row
from edsr_int8.targets.infer import infer as infer_images
from stages.run import run
from stages.target import open_row


def infer(params: Params, model: str, precision: str, target: str) -> None:
    wanted, images = row(params.models, model, "models"), layout.images(model)
    folders = [images / kind / name for kind in ("evaluation", "card") for name in wanted.evaluation]
    datasets = {str(folder.relative_to(images)): folder for folder in folders if folder.is_dir()}
    out = layout.outputs(model, precision, target)
    infer_images(open_row(params, target), layout.onnx(model, precision), datasets, out)


if __name__ == "__main__":
    run(infer)
