"""build/<model>/export -> build/bundle/<model>: the folder that the vendor's compiler takes."""

from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.targets.vacc.bundle.config import CardModel
from edsr_int8.targets.vacc.bundle.inputs import card_inputs
from edsr_int8.targets.vacc.bundle.write import write_bundle, write_no_bundle


def bundle(params: Params, model: str) -> None:
    wanted, images, out = row(params.models, model, "models"), layout.images(model), layout.bundle(model)
    if wanted.fixed_shape is None:
        why = f"the card runs one fixed shape; set models.{model}.shape to [height, width] in params.yaml"
        write_no_bundle(why, out)
        return
    card = CardModel(model, wanted.source, wanted.scale, wanted.fixed_shape)
    inputs = card_inputs(images, wanted.evaluation)
    if not inputs:
        why = f"its inputs are made for the protocol card; add it to models.{model}.protocols in params.yaml"
        write_no_bundle(why, out)
        return
    write_bundle(card, layout.export(model) / "float.onnx", images / "calibration", inputs, out)


if __name__ == "__main__":
    run(bundle)
