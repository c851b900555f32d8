"""A publisher's checkpoint -> our tensors in safetensors, and the facts of the network beside them."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from safetensors.torch import load_file, save
from torch import nn

from edsr_int8.artifacts import reading
from edsr_int8.checkpoints.checkpoint import Checkpoint, open_described
from edsr_int8.checkpoints.convention import on_grey_levels
from edsr_int8.checkpoints.facts import NetworkFacts, read_facts, write_facts
from edsr_int8.checkpoints.settle import Stated, Verdict, settle
from edsr_int8.errors import InputError
from edsr_int8.files import atomic, require_plain, sha256
from edsr_int8.models.build import build
from edsr_int8.models.complexity import macs_per_pixel, parameters
from edsr_int8.models.description import NO_MEAN, RGB, Description
from edsr_int8.models.edsr import receptive_radius
from edsr_int8.progress import tell

FILE = "weights.safetensors"


def convert(
    weights: Path,
    source: str,
    description: Description,
    out: Path,
    *,
    img_range: float | None = None,
    rgb_mean: RGB | None = None,
    pinned: str = "",
) -> NetworkFacts:
    """Write `out`/weights.safetensors and `out`/description.json; equal checkpoints give equal bytes.

    The converted network takes and gives 0..255, whatever it was trained on: `img_range` and `rgb_mean` say
    that, in BasicSR's words; where they are None, the file or a trial tells. `pinned`: what the file's
    SHA-256 begins with. Warnings go to stderr.

    InputError, one line that begins with the file: it cannot be read, holds another network than the one that
    is described, or does not tell what it was trained on.
    """
    if description.upsampler == "direct" and rgb_mean not in (None, NO_MEAN):
        raise InputError(f"{weights}: rgb_mean: the direct upsampler has no mean shift; leave it out")
    digest = _pinned(weights, pinned)
    checkpoint = open_described(weights, source, description)
    stated = Stated(description.res_scale, img_range, rgb_mean)
    verdict = settle(checkpoint, stated)
    if verdict.fits and verdict.rival:
        raise InputError(
            f"{weights}: does not tell what colours it was trained on: a picture of one grey comes out wrong "
            f"{verdict.listed()}; state img_range and rgb_mean in the row"
        )
    for line in _remarks(checkpoint, verdict, stated):
        tell(f"{weights}: {line}")
    convention = verdict.chosen.convention
    described = replace(description, rgb_mean=convention.rgb_mean)
    facts = NetworkFacts(
        **asdict(described),
        source=source,
        params=parameters(described),
        macs_per_pixel=macs_per_pixel(described),
        receptive_radius=receptive_radius(described),
        weights_sha256=digest,
        img_range=convention.img_range,
    )
    with atomic(out / FILE) as temporary:
        temporary.write_bytes(save(on_grey_levels(checkpoint.state, convention.img_range)))
    write_facts(facts, out)
    return facts


def _pinned(weights: Path, expected: str) -> str:
    """The SHA-256 of the file, before anything in it is read. InputError: another than expected."""
    require_plain(weights)
    try:
        found = sha256(weights)
    except OSError as error:
        raise InputError(f"{weights}: {error.strerror or error}") from None
    if not found.startswith(expected):
        raise InputError(
            f"{weights}: sha256 is {found}, the row says {expected}; fetch the file again, or correct the row"
        )
    return found


def load_network(folder: Path) -> tuple[nn.Module, NetworkFacts]:
    """The converted network as a module in evaluation mode, without gradients, and its facts."""
    facts = read_facts(folder)
    with reading(folder / FILE, "convert"):
        module = build(facts)
        module.load_state_dict(load_file(folder / FILE))
    return module.eval().requires_grad_(False), facts


def _remarks(checkpoint: Checkpoint, verdict: Verdict, stated: Stated) -> Iterator[str]:
    """What a user should know of what was taken."""
    chosen, is_open = verdict.chosen.convention, None in (stated.img_range, stated.rgb_mean)
    told_by_file = checkpoint.stores_mean and chosen == checkpoint.conventions[0]
    if checkpoint.grey:
        yield "has one channel: the network gets the luma of the image and gives a grey one; see benchmark_y"
    if verdict.no_picture:
        yield f"warning: taken: {chosen}; it gives no picture, whatever it was trained on: random weights?"
    elif verdict.better:
        yield (
            f"warning: the row says {verdict.chosen}, where a picture of one grey comes out wrong by "
            f"{verdict.error:.2g} levels; with {verdict.better} it is {verdict.better_error:.2g}"
        )
    elif is_open and verdict.rival:
        yield (
            f"warning: taken: {chosen}, but nothing fits: a picture of one grey comes out wrong "
            f"{verdict.listed()}; state img_range and rgb_mean in the row"
        )
    elif is_open and not told_by_file:
        yield f"taken: {chosen}; a picture of one grey comes out wrong {verdict.listed()}"
