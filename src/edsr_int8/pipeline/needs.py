"""Whether the stages observe, gptq and sensitivity are needed: each serves all rows of `precisions` at once.

`probe` writes the answer down, so that these stages depend on it and not on every row.
"""

from pathlib import Path

from edsr_int8.artifacts import read_json, reading
from edsr_int8.files import write_text
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.quantization.recipe import Structure


def needed_stages(params: Params) -> dict[str, bool]:
    """Stage -> whether a row needs what it makes."""
    recipes = params.precisions.values()
    return {
        "observe": any(recipe.needs_histograms for recipe in recipes),
        "gptq": any(recipe.needs_gptq_weights for recipe in recipes),
        "sensitivity": any(recipe.needs_sensitivity for recipe in recipes),
    }


def needed_structures(params: Params) -> list[Structure]:
    """The forms of a network in which some row takes the weights of the stage `gptq`, each once."""
    return list(dict.fromkeys(r.structure for r in params.precisions.values() if r.needs_gptq_weights))


def skip_unneeded(stage: str, out: Path) -> bool:
    """Whether no row needs `stage`; then `out` is written as an empty file, which its readers understand."""
    with reading(layout.needs(), "probe"):
        needed = read_json(layout.needs(), dict[str, bool], "probe")[stage]
    if needed:
        return False
    write_text(out, "")
    return True
