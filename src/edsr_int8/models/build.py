"""A description -> the torch module."""

from edsr_int8.models.description import Description, check
from edsr_int8.models.edsr import EDSR
from edsr_int8.models.mdsr import MDSR

NETWORKS = {"edsr": EDSR, "mdsr": MDSR}


def build(description: Description) -> EDSR:
    """The module, with random weights and in training mode. InputError where no network is like this."""
    check(description)
    return NETWORKS[description.network](description)
