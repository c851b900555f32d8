"""A publisher's checkpoint -> our tensors in safetensors, and the facts of the network beside them."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import load_file, save
from torch import Tensor, nn

from edsr_int8.checkpoints.facts import NetworkFacts, read_facts, write_facts
from edsr_int8.checkpoints.match import shapes
from edsr_int8.checkpoints.read import read_state_dict
from edsr_int8.checkpoints.sources import SOURCES, changes_to_fit
from edsr_int8.errors import InputError
from edsr_int8.files import atomic, sha256
from edsr_int8.models.build import build
from edsr_int8.models.complexity import macs_per_pixel, parameters
from edsr_int8.models.description import Description, check
from edsr_int8.models.edsr import receptive_radius

FILE = "weights.safetensors"


def convert(weights: Path, source: str, description: Description, out: Path) -> NetworkFacts:
    """Write `out`/weights.safetensors and `out`/description.json; equal checkpoints give equal bytes.

    InputError, one line that begins with the file: unreadable, or not the network that is described.
    """
    state = own_state(read_state_dict(weights), source, description, weights)
    facts = NetworkFacts(
        **asdict(description),
        source=source,
        params=parameters(description),
        macs_per_pixel=macs_per_pixel(description),
        receptive_radius=receptive_radius(description),
        weights_sha256=sha256(weights),
    )
    with atomic(out / FILE) as temporary:
        temporary.write_bytes(save(state))
    write_facts(facts, out)
    return facts


def own_state(
    foreign: Mapping[str, Tensor], source: str, description: Description, weights: Path
) -> dict[str, Tensor]:
    """`foreign`, read from `weights`, in our names. InputError also says what would fit."""
    try:
        check(description)
        return SOURCES[source].from_foreign(foreign, description)
    except InputError as error:
        changes = changes_to_fit(shapes(foreign), source, description)
        fields = ", ".join(f"{name}: {value}" for name, value in changes.items())
        hint = f"; this file needs {fields} in the row" if fields else ""
        raise InputError(f"{weights}: {error}{hint}") from None


def load_network(folder: Path) -> tuple[nn.Module, NetworkFacts]:
    """The converted network in evaluation mode, without gradients, and its facts."""
    facts = read_facts(folder)
    network = build(facts)
    network.load_state_dict(load_file(folder / FILE))
    return network.eval().requires_grad_(False), facts
