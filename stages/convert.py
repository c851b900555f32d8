"""The checkpoint of a model -> build/<model>/checkpoint: our tensor names, and the network's facts."""

from pathlib import Path

from edsr_int8.checkpoints.convert import convert as convert_checkpoint
from edsr_int8.errors import InputError
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run


def convert(params: Params, model: str) -> None:
    wanted = row(params.models, model, "models")
    try:
        convert_checkpoint(
            Path(wanted.weights), wanted.source, wanted.description, layout.checkpoint(model),
            img_range=wanted.img_range, rgb_mean=wanted.rgb_mean, pinned=wanted.sha256,
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"models.{model}: {error}") from None


if __name__ == "__main__":
    run(convert)
