"""What becomes of some crops of the calibration images: more than photographs show.

int8 fails first on saturated colours and at full contrast, which photographs that are reduced for calibration
seldom have.
"""

from dataclasses import dataclass, replace

from edsr_int8.quantization.recipe import Recipe


@dataclass(frozen=True)
class Augmentation:
    """Shares of all crops."""

    stretched: float = 0.1  # each channel by itself, to other and stronger colours
    colours: float = 0.0  # flat colours and stripes in their place
    full_contrast: float = 0.0  # the channels alike
    textures: float = 0.0  # one of the busiest crops, at full contrast, in their place
    lines: float = 0.0  # line drawings in their place


PLAIN = Augmentation()
ALL_COLOURS = Augmentation(colours=0.08, full_contrast=0.1)
# More textures or lines would cost photographs. Finetuning that covers colours has patterns of its own.
LEARNED = Augmentation(stretched=0.0, textures=0.08, lines=0.1)
# With sums in float less is rounded, and nothing is widened afterwards.
LEARNED_MIXED = replace(LEARNED, textures=0.1)


def augmentation(recipe: Recipe) -> Augmentation:
    if recipe.finetune.steps:
        return LEARNED if recipe.strict else LEARNED_MIXED
    return ALL_COLOURS if recipe.cover_colours else PLAIN
