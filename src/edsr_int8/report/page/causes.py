"""The section of the page on where the int8 loss comes from, and what ranges and finetuning do to it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from edsr_int8.report.analysis import Analysis
from edsr_int8.report.page import distributions, layers, lines
from edsr_int8.report.results import Results
from edsr_int8.report.table import QualityRow

Given = TypeVar("Given")


def causes(results: Results, first: Mapping[str, Mapping[str, QualityRow]]) -> dict[str, Any]:
    """The charts by kind, then by model; a model without data for a chart is left out.

    `first` is model -> precision -> row, as `render.first_rows` gives it.
    """
    recipes = results.recipes

    def histograms(model: str, found: Analysis) -> list[dict[str, Any]]:
        return distributions.histograms(found.histograms, _ranges(results, model))

    return {
        "layers": _by_model(results.analyses, lambda _, found: layers.layers(found.losses)),
        "histograms": _by_model(results.analyses, histograms),
        "percentiles": _by_model(first, lambda _, rows: lines.percentiles(recipes, rows)),
        "finetuning": _by_model(results.analyses, lambda _, found: lines.finetuning(found.curves)),
        "rewritten": [n for n, recipe in recipes.items() if recipe.ranges and not recipe.keeps_tensors],
    }


def _by_model(given: Mapping[str, Given], chart: Callable[[str, Given], Any]) -> dict[str, Any]:
    return {model: drawn for model, value in given.items() if (drawn := chart(model, value))}


def _ranges(results: Results, model: str) -> dict[str, distributions.Ends]:
    """Precision -> tensor -> range, of the builds of `model` whose tensors are the float network's own."""
    return {
        key.precision: build.scores.ranges
        for key, build in results.builds.items()
        if key.model == model and build.scores.ranges and results.recipes[key.precision].keeps_tensors
    }
