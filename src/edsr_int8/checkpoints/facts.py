"""What is known of a converted network: written beside its weights, and read without torch."""

from dataclasses import asdict, dataclass
from pathlib import Path

from edsr_int8.artifacts import read_json
from edsr_int8.errors import InputError
from edsr_int8.files import write_json
from edsr_int8.models.description import Description, check

FILE = "description.json"


@dataclass(frozen=True, kw_only=True)
class NetworkFacts(Description):
    """A description, and what follows from it and from the checkpoint."""

    source: str  # official | basicsr
    params: int
    macs_per_pixel: int  # of the input image
    receptive_radius: int  # input pixels
    weights_sha256: str  # of the checkpoint file
    img_range: float = 255.0  # that the checkpoint was trained on; the converted weights are for 0..255

    def metadata(self) -> dict[str, str]:
        """The metadata of an ONNX file."""
        names = ("source", "network", "scale", "receptive_radius", "weights_sha256")
        return {name: str(getattr(self, name)) for name in names}


def write_facts(facts: NetworkFacts, folder: Path) -> None:
    write_json(folder / FILE, asdict(facts))


def read_facts(folder: Path) -> NetworkFacts:
    """What `write_facts` wrote. InputError: it is not there or damaged, or no network is like that."""
    facts: NetworkFacts = read_json(folder / FILE, NetworkFacts, "convert")
    try:
        check(facts)
    except InputError as error:
        raise InputError(f"{folder / FILE}: damaged: {error}; delete it and run again") from None
    return facts
