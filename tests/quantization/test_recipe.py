"""What a recipe needs of the stages before, by hand."""

from dataclasses import replace

import pytest

from edsr_int8.quantization.recipe import MODEL_CARD, Finetune, Override, Recipe


@pytest.mark.parametrize(
    "knobs",
    [
        {"channel_transform": True},
        {"equalize": True},
        {"collapse_tail": True},
        {"finetune": Finetune(steps=1)},
    ],
)
def test_rewritten_or_learned_tensors_are_not_those_of_the_float_network(knobs: dict[str, object]) -> None:
    recipe = replace(MODEL_CARD, **knobs)
    assert not recipe.keeps_tensors and recipe.learns


@pytest.mark.parametrize(
    "knobs",
    [
        {"bias_correction": True},
        {"ranges": "search"},
        {"overrides": (Override("head", "search", 99.0),)},
        {"high_precision_layers": ("tail",)},
        {"high_precision_budget": 0.1},
    ],
)
def test_tensors_may_stay_where_something_is_learned(knobs: dict[str, object]) -> None:
    recipe = replace(MODEL_CARD, **knobs)
    assert recipe.keeps_tensors and recipe.learns and recipe.needs_histograms


@pytest.mark.parametrize("knobs", [{}, {"fold_long_skip": True}, {"unify_scales": True}, {"gptq": True}])
def test_nothing_is_learned_from_histograms_and_rounded_weights(knobs: dict[str, object]) -> None:
    recipe = replace(MODEL_CARD, **knobs)
    assert recipe.keeps_tensors and not recipe.learns and not recipe.needs_crops
    assert recipe.needs_gptq_weights == bool(knobs.get("gptq")) and recipe.needs_histograms


def test_rounded_weights_of_the_gptq_stage_are_of_no_use_to_a_recipe_that_learns() -> None:
    recipe = replace(MODEL_CARD, gptq=True, equalize=True)
    assert not recipe.needs_gptq_weights and recipe.needs_crops and not recipe.needs_histograms


def test_budget_needs_the_sensitivity_stage_and_its_histograms() -> None:
    recipe = replace(MODEL_CARD, high_precision_budget=0.1, equalize=True)
    assert recipe.needs_sensitivity and recipe.needs_histograms
    assert not replace(MODEL_CARD, high_precision_layers=("tail",)).needs_sensitivity


def test_float_build_needs_nothing() -> None:
    recipe = Recipe("float32")
    assert not (recipe.learns or recipe.needs_histograms or recipe.needs_crops or recipe.needs_gptq_weights)
