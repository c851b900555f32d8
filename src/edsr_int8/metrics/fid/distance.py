"""What the section `fid` of a run asks for, as a function of two folders."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from edsr_int8.metrics.fid.frechet import Fid, fid

Distance = Callable[[Path, Path], Fid]  # folder of outputs, folder of references


def distance(probed: Mapping[str, Any] | None) -> Distance | None:
    """From the probe's {weights, sha256, patch, patches, here}; None where nothing is asked for.

    Without the weights it is a function that says so. InputError as `load_features`.
    """
    if probed is None:
        return None
    if not probed["here"]:
        return lambda *_: Fid(None, 0, f"no Inception weights at {probed['weights']}")
    from edsr_int8.metrics.fid.inception import load_features  # torch: seconds that other runs need not spend

    features = load_features(Path(probed["weights"]), digest=probed["sha256"])
    return partial(fid, features=features, side=probed["patch"], most=probed["patches"])
