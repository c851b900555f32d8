"""build/<model>/export -> build/bundle/<model>: the folder that the vendor's compiler takes."""

from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.targets.vacc.bundle.config import AcceleratorModel
from edsr_int8.targets.vacc.bundle.inputs import accelerator_inputs
from edsr_int8.targets.vacc.bundle.write import write_bundle, write_no_bundle


def bundle(params: Params, model: str) -> None:
    wanted = row(params.models, model, "models")
    out = layout.bundle(model)
    if wanted.fixed_shape is None:
        write_no_bundle(f"the accelerator runs one shape; set models.{model}.shape to [height, width]", out)
        return
    images = layout.images(model)
    inputs = accelerator_inputs(images, wanted.evaluation)
    if not inputs:
        write_no_bundle(f"it needs images of the protocol card; add card to models.{model}.protocols", out)
        return
    described = AcceleratorModel(model, wanted.source, wanted.scale, wanted.fixed_shape)
    write_bundle(described, layout.export(model) / "float.onnx", images / "calibration", inputs, out)


if __name__ == "__main__":
    run(bundle)
