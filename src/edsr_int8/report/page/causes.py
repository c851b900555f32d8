"""The section of the page that says where the int8 loss comes from, and what ranges and tuning do to it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from edsr_int8.quantization.recipe import Recipe
from edsr_int8.report.page import distributions, layers, lines
from edsr_int8.report.page.analysis import Analysis
from edsr_int8.report.table import Row, Scores

Given = TypeVar("Given")


def causes(
    first: Mapping[str, Mapping[str, Row]],
    scores: Scores,
    settings: Mapping[str, Recipe],
    analyses: Mapping[str, Analysis],
) -> dict[str, Any]:
    """The charts by their kind, then by model; models without one are left out.

    `first` is model -> precision -> row, as page.first_rows gives it; `analyses` go by model.
    """

    def histograms(model: str, found: Analysis) -> list[dict[str, Any]]:
        return distributions.histograms(found.sketches, _ranges(scores, model, settings))

    return {
        "layers": _by_model(analyses, lambda _, found: layers.layers(found.losses)),
        "histograms": _by_model(analyses, histograms),
        "percentiles": _by_model(first, lambda _, rows: lines.percentiles(settings, rows)),
        "tuning": _by_model(analyses, lambda _, found: lines.tuning(found.curves)),
        "rewritten": [
            name for name, row in settings.items() if row.dtype == "int8" and not row.keeps_tensors
        ],
    }


def _by_model(given: Mapping[str, Given], chart: Callable[[str, Given], Any]) -> dict[str, Any]:
    return {model: drawn for model, value in given.items() if (drawn := chart(model, value))}


def _ranges(scores: Scores, model: str, settings: Mapping[str, Recipe]) -> dict[str, distributions.Ends]:
    """Recipe -> tensor -> range, of the builds of `model` whose tensors are the network's own."""
    return {
        precision: scored["ranges"]
        for (name, precision, _), scored in scores.items()
        if name == model and scored.get("ranges") and settings[precision].keeps_tensors
    }
