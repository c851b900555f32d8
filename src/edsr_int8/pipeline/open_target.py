"""A row of `targets` -> the target itself."""

from edsr_int8.errors import InputError
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.targets.base import Target, open_target


def open_row(params: Params, name: str) -> Target:
    """InputError names the row: an unknown runtime, or a provider that its runtime does not know."""
    try:
        target = open_target(row(params.targets, name, "targets"))
        target.probe()
    except InputError as error:
        raise InputError(f"params.yaml: targets.{name}.{error}") from None
    return target
