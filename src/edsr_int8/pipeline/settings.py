"""What stages read of params.yaml where dvc.yaml cannot name the keys: optional ones, and those of all rows.

`probe` writes each of these values into a file of its own, and the stage depends on that file. So a key
starts no stage that does not read it.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.quantization.recipe import Recipe, Structure

OF_A_CHECKPOINT = ("img_range", "rgb_mean", "sha256")  # keys that `convert` reads, and that may be left out
OF_A_REPORT = ("calibration", "evaluation", "protocols", "reference", "scale", "shape", "source")


@dataclass(frozen=True)
class Written:
    """A row of `precisions` as `quantize` reads it."""

    recipe: Recipe
    learned: bool  # by `finetune`, which did all that the recipe asks for


def learning(recipe: Recipe) -> Recipe | None:
    """What `finetune` reads of a row; nothing of one that does not learn."""
    return replace(recipe, dtype="int8") if recipe.learns else None


def writing(recipe: Recipe) -> Written:
    """What `quantize` reads of a row; of one that learned only what names its build."""
    if not recipe.learns:
        return Written(recipe, learned=False)
    return Written(Recipe("int8", recipe.ranges, recipe.percentile), learned=True)


def settings(params: Params) -> dict[Path, Any]:
    """File below build/probe -> what stands in it, as JSON. Rows are in lists where their order matters."""
    models, recipes, targets = params.models.items(), params.precisions.items(), params.targets.items()
    fid = params.fid and asdict(params.fid)
    found = {layout.checkpoint_probe(name): _keys(model, OF_A_CHECKPOINT) for name, model in models}
    found |= {layout.settings("finetune", name): _plain(learning(recipe)) for name, recipe in recipes}
    for name, recipe in recipes:
        written = writing(recipe)
        found[layout.settings("quantize", name)] = _plain(written.recipe) | {"learned": written.learned}
    return found | {
        layout.settings("time"): {name: asdict(target) for name, target in targets},
        # These three serve all rows at once, and have nothing to do where none needs them.
        layout.settings("observe"): any(recipe.needs_histograms for _, recipe in recipes),
        layout.settings("gptq"): [_plain(structure) for structure in rounded_structures(params)],
        layout.settings("sensitivity"): stages_needed(params)["sensitivity"],
        # And these tell others whether what they read has changed.
        layout.settings("dataset_digests"): datasets_read(params),
        layout.settings("observed_digests"): stages_needed(params),
        layout.settings("calibration_digests"): calibration_read(params),
        layout.fid_probe(): fid and {key: value for key, value in fid.items() if key != "urls"},
        layout.settings("model_images"): {name: target.runtime for name, target in targets},
        layout.settings("evaluate"): [[name, target.runtime, target.rounding] for name, target in targets],
        layout.settings("report"): {
            "models": [[name, _keys(model, OF_A_REPORT)] for name, model in models],
            "precisions": [[name, _plain(recipe)] for name, recipe in recipes],  # which differ in one key
            "targets": list(params.targets),
        },
    }


def datasets_read(params: Params) -> dict[str, dict[str, list[str]]]:
    """Section -> row -> the data sets that `model_images` or `training_images` reads for it."""
    models = {name: {model.calibration, *model.evaluation} for name, model in params.models.items()}
    training = {name: {*row.datasets, *row.validation} for name, row in params.training.items()}
    return {"models": _sorted(models), "training": _sorted(training)}


def stages_needed(params: Params) -> dict[str, bool]:
    """Of the two stages that read what `observe` found, and serve all rows at once."""
    return {
        "gptq": bool(rounded_structures(params)),
        "sensitivity": any(recipe.needs_sensitivity for recipe in params.precisions.values()),
    }


def calibration_read(params: Params) -> dict[str, dict[str, list[str]]]:
    """Stage -> row of `precisions` -> what the stage reads for it of the calibration."""
    recipes = params.precisions.items()
    return {
        "finetune": {name: recipe.reads if recipe.learns else [] for name, recipe in recipes},
        "quantize": {name: [] if recipe.learns else recipe.reads for name, recipe in recipes},
    }


def rounded_structures(params: Params) -> list[Structure]:
    """The forms of a network in which some row takes the weights of the stage `gptq`, each once."""
    return list(dict.fromkeys(r.structure for r in params.precisions.values() if r.needs_gptq_weights))


def _sorted(rows: dict[str, set[str]]) -> dict[str, list[str]]:
    return {name: sorted(names) for name, names in rows.items()}


def _keys(row: Any, names: tuple[str, ...]) -> Any:
    return {name: getattr(row, name) for name in names}


def _plain(value: Any) -> Any:
    return value and asdict(value)
