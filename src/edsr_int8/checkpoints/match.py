"""The tensors that are found against those that a description calls for: all of them, and no others."""

from collections.abc import Mapping, Sequence

from edsr_int8.checkpoints.layout import Shape, State

LISTED = 3  # tensors that a message names; the rest are counted


def shapes(state: State) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def problems(found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> str:
    """Missing, unexpected and wrong-shaped tensors, for a message; '' where there are none."""
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    misshapen = [
        f"{name} is {_times(found[name])}, expected {_times(shape)}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    lists = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    return ", ".join(f"{len(names)} {what} ({_first(names)})" for what, names in lists.items() if names)


def _first(names: Sequence[str]) -> str:
    more = [f"{len(names) - LISTED} more"] if len(names) > LISTED else []
    return "; ".join([*names[:LISTED], *more])


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a single number"
