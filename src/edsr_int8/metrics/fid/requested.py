"""The FID that the section `fid` of params.yaml asks for, as a function of two folders."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edsr_int8.metrics.fid.frechet import Fid, FolderDistance, fid


@dataclass(frozen=True)
class RequestedFid:
    """What `probe` writes of the section."""

    weights: str
    sha256: str
    patch: int
    patches: int
    here: bool  # whether the weights are


def requested_fid(section: RequestedFid | None) -> FolderDistance | None:
    """None where nobody asks for FID.

    Where the weights are not `here`, the function gives no distance and says so. InputError as
    `load_features`.
    """
    if section is None:
        return None
    if not section.here:
        return lambda *_: Fid(None, 0, f"no Inception weights at {section.weights}")
    from edsr_int8.metrics.fid.inception import load_features  # torch: seconds that other runs need not spend

    features = load_features(Path(section.weights), sha256=section.sha256)
    return partial(fid, features=features, side=section.patch, most=section.patches)
