"""A checkpoint as one value: whose it is, which network, its tensors in our names."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from edsr_int8.checkpoints.convention import Convention
from edsr_int8.checkpoints.grey import grey_conventions, in_colour, is_grey
from edsr_int8.checkpoints.layout import Layout, State
from edsr_int8.checkpoints.match import problems, shapes
from edsr_int8.checkpoints.other_networks import looks_like
from edsr_int8.checkpoints.read import read_state_dict
from edsr_int8.checkpoints.sources import LAYOUTS, changes_to_fit, fitting
from edsr_int8.errors import InputError
from edsr_int8.models.description import Description, check


@dataclass(frozen=True)
class Checkpoint:
    layout: Layout
    description: Description  # its res_scale and rgb_mean are not the file's: no tensor tells them for sure
    state: dict[str, Tensor]  # our names, three channels, the values of the file
    conventions: tuple[Convention, ...]  # that it may have been trained on, the likeliest first
    stores_mean: bool  # in tensors beside the convolutions
    grey: bool  # whether the file's network has one channel


def open_described(path: Path, source: str, description: Description) -> Checkpoint:
    """Read `path` as the network that is described. InputError says what does not fit, and what would."""
    foreign = read_state_dict(path)
    state = in_colour(foreign) if is_grey(foreign) else foreign
    try:
        check(description)
        layout = _layout(state, source, description)
        return _checkpoint(layout, description, state, grey=state is not foreign)
    except InputError as error:
        raise InputError(f"{path}: {error}{_hint(state, source, description)}") from None


def open_unknown(path: Path, *, scale: int | None) -> Checkpoint:
    """Read `path` and find its network by names and shapes; `scale` says which of MDSR's three is meant.

    InputError: no network of this family, and what it looks like; or MDSR without `scale`.
    """
    foreign = read_state_dict(path)
    state = in_colour(foreign) if is_grey(foreign) else foreign
    found = [(layout, d) for layout, d in fitting(shapes(state)) if scale in (None, d.scale)]
    if not found:
        wanted = f" of scale {scale}" if scale else ""
        raise InputError(f"{path}: its tensors are no EDSR's or MDSR's{wanted}{_resemblance(state)}")
    if len(found) > 1:
        scales = ", ".join(str(d.scale) for _, d in found)
        raise InputError(f"{path}: holds an MDSR with scales {scales}; say which with --scale")
    (layout, description), *_ = found
    try:
        return _checkpoint(layout, description, state, grey=state is not foreign)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _checkpoint(layout: Layout, description: Description, state: State, *, grey: bool) -> Checkpoint:
    conventions = list(layout.conventions(state))
    return Checkpoint(
        layout,
        description,
        layout.to_own(state, description),
        tuple(grey_conventions(conventions) if grey else conventions),
        stores_mean=any(name in state for name in layout.mean_shift(description)),
        grey=grey,
    )


def _layout(state: State, source: str, description: Description) -> Layout:
    """The layout of `source` that has these tensors. InputError lists what does not fit the nearest one."""
    layouts = [layout for layout in LAYOUTS if layout.source == source and layout.has(description)]
    if not layouts:
        what = f"network {description.network} with upsampler {description.upsampler}"
        raise InputError(f"source {source} has no {what}; use source official")
    found = shapes(state)
    nearest = max(layouts, key=lambda layout: len(layout.shapes(description).keys() & found.keys()))
    shift = nearest.mean_shift(description)
    wrong = problems({n: s for n, s in found.items() if n not in shift}, nearest.shapes(description))
    if wrong:
        raise InputError(f"tensors do not fit the row: {wrong}")
    return nearest


def _hint(state: State, source: str, description: Description) -> str:
    changes = changes_to_fit(shapes(state), source, description)
    fields = ", ".join(f"{name}: {value}" for name, value in changes.items())
    return f"; this file needs {fields} in the row" if fields else _resemblance(state)


def _resemblance(state: State) -> str:
    network = looks_like(state)
    return f"; it looks like {network}, which this project does not have" if network else ""
