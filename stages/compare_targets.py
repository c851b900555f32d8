"""A build's images on every target -> build/agreement/<model>/<precision>.json: against exact integers."""

from edsr_int8.files import write_json
from edsr_int8.metrics.conformance import agreement
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run

EXACT = "integer"  # the runtime that the others are compared with


def compare_targets(params: Params, model: str, precision: str) -> None:
    exact = next((name for name, row in params.targets.items() if row.runtime == EXACT), None)
    outputs = {name: layout.outputs(model, precision, name) for name in params.targets}
    others = [name for name in outputs if exact and name != exact]
    found = {name: agreement(outputs[name], outputs[exact]) for name in others} if exact else {}
    write_json(layout.comparison(model, precision), found)


if __name__ == "__main__":
    run(compare_targets)
