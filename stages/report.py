"""build/ -> results/: the table, the timings, the metrics, the plots, the page."""

from itertools import product

from edsr_int8.files import read_json
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run
from edsr_int8.report.page.analysis import read_analysis
from edsr_int8.report.write import write_report


def report(params: Params) -> None:
    builds = list(product(params.models, params.precisions, params.targets))
    crops = {build: layout.scores(*build) for build in builds}
    scores = {build: read_json(folder / "scores.json") for build, folder in crops.items()}
    for model, precision, target in builds:
        agreement = read_json(layout.comparison(model, precision)).get(target, {})
        scores[model, precision, target]["agreement"] = agreement
    timings = {build: read_json(layout.timing(*build)) for build in builds}
    analyses = {}
    for model in params.models:
        curves = {precision: layout.curve(model, precision) for precision in params.precisions}
        analyses[model] = read_analysis(layout.sensitivity(model), layout.histograms(model), curves)
    write_report(layout.RESULTS, params.models, scores, timings, crops, params.precisions, analyses)


if __name__ == "__main__":
    run(report)
