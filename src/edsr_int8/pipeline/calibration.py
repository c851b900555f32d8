"""What the passes of a recipe learn from, where the stages of one model leave it."""

from edsr_int8.pipeline import layout
from edsr_int8.pipeline.executor import executor
from edsr_int8.pipeline.model_images import calibration_images
from edsr_int8.quantization.augmentation import augmentation
from edsr_int8.quantization.passes import Calibration
from edsr_int8.quantization.recipe import Recipe


def calibration_of(model: str, recipe: Recipe, *, device: str = "cpu") -> Calibration:
    return Calibration(
        float_model=layout.export(model) / "float.onnx",
        images=calibration_images(model) if "images" in recipe.reads else [],
        histograms=layout.histograms(model),
        losses=layout.sensitivity(model),
        gptq_weights=layout.gptq(model),
        statistics=recipe.statistics,
        augmentation=augmentation(recipe),
        device=device,
        executor=executor(),
    )
