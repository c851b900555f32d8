"""build/ -> results/: the table, the model card, the timings, the metrics, the plots, the page."""

from itertools import product, starmap

from edsr_int8.metrics.scores import read_scores
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run
from edsr_int8.report.analysis import Analysis, read_analysis
from edsr_int8.report.results import BuildKey, BuildResult, Results, read_conformance, read_timing
from edsr_int8.report.write import write_report


def report(params: Params) -> None:
    keys = list(starmap(BuildKey, product(params.models, params.precisions, params.targets)))
    builds = {key: _build(key) for key in keys}
    analyses = {model: _analysis(model, params) for model in params.models}
    write_report(layout.RESULTS, Results(params.models, params.precisions, builds, analyses))


def _build(key: BuildKey) -> BuildResult:
    folder = layout.scores(*key)
    return BuildResult(
        scores=read_scores(folder / "scores.json"),
        timing=read_timing(layout.timing(*key)),
        conformance=read_conformance(layout.comparison(key.model, key.precision), key.target),
        crops=folder,
    )


def _analysis(model: str, params: Params) -> Analysis:
    curves = {precision: layout.curve(model, precision) for precision in params.precisions}
    return read_analysis(layout.sensitivity(model), layout.histograms(model), layout.coverage(model), curves)


if __name__ == "__main__":
    run(report)
