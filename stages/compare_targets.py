"""A build's images on every target -> build/comparison/<model>/<precision>.json: against exact integers.

The reference is the first row of `targets` with runtime integer and rounding '', onnxruntime's rule. Every
other row is compared with it. A row of integer with another rounding shows how large a difference that rule
alone makes: beside OpenVINO, which rounds as `fused` but for ties. Without a reference row nothing is
compared, and the table's integer_* columns stay empty.
"""

from collections.abc import Mapping
from dataclasses import asdict

from edsr_int8.files import write_json
from edsr_int8.metrics.conformance import compare
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.executor import executor
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run
from edsr_int8.targets.row import TargetRow


def compare_targets(params: Params, model: str, precision: str) -> None:
    reference = exact_row(params.targets)
    found = {}
    if reference:
        exact = layout.outputs(model, precision, reference)
        for name in params.targets:
            if name != reference:
                outputs = layout.outputs(model, precision, name)
                conformance = compare(outputs, exact, executor=executor())
                found[name] = {dataset: asdict(figures) for dataset, figures in conformance.items()}
    write_json(layout.comparison(model, precision), found)


def exact_row(targets: Mapping[str, TargetRow]) -> str:
    """The name of the reference row; '' where there is none."""
    return next((n for n, row in targets.items() if row.runtime == "integer" and not row.rounding), "")


if __name__ == "__main__":
    run(compare_targets)
