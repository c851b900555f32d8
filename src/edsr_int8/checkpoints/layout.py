"""A layout: how one publisher names the tensors of a network, and what else its files tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from edsr_int8.checkpoints.convention import Convention
from edsr_int8.models.complexity import convolutions
from edsr_int8.models.description import Description, scales

Shape = tuple[int, ...]
State = Mapping[str, Tensor]


def no_mean_shift(description: Description) -> dict[str, Tensor]:
    return {}


@dataclass(frozen=True)
class Layout:
    """One publisher's files. A new one is a file that ends in a Layout, and a line in sources.py."""

    source: str  # the value of `source` in a row; layouts of one source differ in names only
    publisher: str  # for messages
    networks: tuple[tuple[str, str], ...]  # those it has: (network, upsampler)
    convolution: Callable[[str, Description], str]  # our name of a convolution -> theirs
    # From the tensors beside the convolutions, the conventions that the network may have been trained on, the
    # likeliest first. Raises InputError where such a tensor says what cannot be converted.
    conventions: Callable[[State], Sequence[Convention]]
    mean_shift: Callable[[Description], dict[str, Tensor]] = no_mean_shift  # tensors that hold the mean

    def has(self, description: Description) -> bool:
        return (description.network, description.upsampler) in self.networks

    def names(self, description: Description) -> dict[str, str]:
        """Our name -> theirs, of every weight and bias."""
        return {
            f"{c.name}.{kind}": f"{self.convolution(c.name, description)}.{kind}"
            for c in convolutions(description)
            for kind in ("weight", "bias")
        }

    def shapes(self, description: Description) -> dict[str, Shape]:
        """Their name -> shape, of every weight and bias; of MDSR those of all its scales."""
        expected: dict[str, Shape] = {}
        for scale in scales(description):
            branch = replace(description, scale=scale)
            own = {name: shape for c in convolutions(branch) for name, shape in c.shapes.items()}
            expected |= {theirs: own[ours] for ours, theirs in self.names(branch).items()}
        return expected

    def to_own(self, foreign: State, description: Description) -> dict[str, Tensor]:
        """Our state dict of the network, or of one scale of MDSR; the values are as in the file."""
        return {ours: foreign[theirs] for ours, theirs in self.names(description).items()}

    def to_foreign(self, states: Mapping[int, State], description: Description) -> dict[str, Tensor]:
        """The state dict that the publisher would have saved, from ours by scale: MDSR needs all three."""
        foreign = self.mean_shift(description)
        for scale in scales(description):
            names = self.names(replace(description, scale=scale))
            foreign |= {theirs: states[scale][ours] for ours, theirs in names.items()}
        return foreign
