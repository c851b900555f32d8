"""Foreign tensor names and shapes against those that a description calls for: all of them, no others."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from edsr_int8.errors import InputError
from edsr_int8.models.complexity import convolutions
from edsr_int8.models.description import Description

Shape = tuple[int, ...]
ForeignName = Callable[[str, Description], str]  # our name of a layer -> theirs

LISTED = 3  # tensors named in a message; the rest are counted


def tensor_names(description: Description, foreign_name: ForeignName) -> dict[str, str]:
    """Our name -> theirs, of every weight and bias."""
    return {
        f"{c.name}.{kind}": f"{foreign_name(c.name, description)}.{kind}"
        for c in convolutions(description)
        for kind in ("weight", "bias")
    }


def foreign_shapes(description: Description, foreign_name: ForeignName) -> dict[str, Shape]:
    """Their name -> shape, of every weight and bias."""
    own = {name: shape for c in convolutions(description) for name, shape in c.shapes.items()}
    return {theirs: own[ours] for ours, theirs in tensor_names(description, foreign_name).items()}


def shapes(state: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def require_match(found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> None:
    """Raise InputError that lists missing, unexpected and wrong-shaped tensors, if there are any."""
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    misshapen = [
        f"{name} is {_times(found[name])}, expected {_times(shape)}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    lists = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    problems = [f"{len(names)} {what} ({_first(names)})" for what, names in lists.items() if names]
    if problems:
        raise InputError(f"tensors do not fit the row: {', '.join(problems)}")


def _first(names: Sequence[str]) -> str:
    more = [f"{len(names) - LISTED} more"] if len(names) > LISTED else []
    return "; ".join([*names[:LISTED], *more])


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a single number"
