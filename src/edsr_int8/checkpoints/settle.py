"""What a row leaves open about a network's training, settled by trying; what it states, checked by trying."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edsr_int8.checkpoints.checkpoint import Checkpoint
from edsr_int8.checkpoints.convention import Convention
from edsr_int8.checkpoints.trial import CLEARLY, PICTURE, Bench, Candidate, grey_errors
from edsr_int8.models.description import RGB

FITS = 1.0  # grey levels, mean
ALIKE = 1.0  # grey levels: outputs that differ by no more, anywhere, are the same for every use
RES_SCALES = (1.0, 0.1)  # Lim et al. 2017: of the baselines, and of networks with 256 features
LISTED = 3  # candidates that a message names
OTHER_RES_SCALES = (0.5, 0.2, 0.05)


@dataclass(frozen=True)
class Stated:
    """What is known of a network's training without trying; None: not known."""

    res_scale: float | None = None
    img_range: float | None = None
    rgb_mean: RGB | None = None

    def allows(self, candidate: Candidate) -> bool:
        found = (candidate.res_scale, candidate.convention.img_range, candidate.convention.rgb_mean)
        known = (self.res_scale, self.img_range, self.rgb_mean)
        return all(b is None or a == b for a, b in zip(found, known, strict=True))


@dataclass(frozen=True)
class Verdict:
    # The best of those that what is stated allows; the likeliest of equals, and where none fits.
    chosen: Candidate
    tried: Mapping[Candidate, float]  # those that what is stated allows -> their errors, in grey levels
    rival: Candidate | None  # another of these that may as well be true, and gives another output
    better: Candidate | None  # one that contradicts what is stated, and fits clearly better
    better_error: float

    @property
    def error(self) -> float:
        return self.tried[self.chosen]

    @property
    def fits(self) -> bool:
        return self.error <= FITS

    @property
    def sure(self) -> bool:
        """Whether the chosen one is true or, where none fits well, any other would give the same output."""
        return self.rival is None

    @property
    def no_picture(self) -> bool:
        """Under nothing that was tried: random or damaged weights."""
        return self.error > PICTURE

    def listed(self) -> str:
        """What was tried, the best first, as the end of a sentence: of each convention the best res_scale."""
        ranked = sorted(self.tried, key=lambda c: self.tried[c])
        firsts = {candidate.convention: candidate for candidate in reversed(ranked)}
        listed = [c for c in ranked if c in firsts.values()] if len(firsts) > 1 else ranked
        return ", ".join(f"by {self.tried[c]:.2g} levels with {{{c}}}" for c in listed[:LISTED])


def settle(checkpoint: Checkpoint, stated: Stated) -> Verdict:
    """Try every convention that the file may have with every usual res_scale, whatever is stated."""
    bench = Bench(checkpoint.state, checkpoint.description)
    errors = grey_errors(bench, _candidates(checkpoint, stated))
    best = min(errors, key=lambda c: errors[c])
    if stated.res_scale is None and checkpoint.description.network == "edsr":
        others = [Candidate(best.convention, res_scale) for res_scale in OTHER_RES_SCALES]
        errors |= grey_errors(bench, [best, *others])
        best = min(errors, key=lambda c: errors[c])
    allowed = {candidate: error for candidate, error in errors.items() if stated.allows(candidate)}
    chosen, *alike = _likely(allowed)
    # Where nothing gives a picture, there is no need to run any to know that nothing is told.
    rivals = (c for c in alike if allowed[chosen] > PICTURE or bench.difference(c, chosen) > ALIKE)
    contradicted = CLEARLY * errors[best] < allowed[chosen] and errors[best] <= FITS
    return Verdict(
        chosen,
        allowed,
        rival=next(rivals, None),
        better=best if contradicted and bench.difference(best, chosen) > ALIKE else None,
        better_error=errors[best],
    )


def _likely(errors: Mapping[Candidate, float]) -> list[Candidate]:
    """Those that fit about as well as the best, the likeliest first; all where none fits."""
    least = min(errors.values())
    limit = CLEARLY * least if least <= FITS else math.inf
    return [candidate for candidate, error in errors.items() if error <= limit]


def _candidates(checkpoint: Checkpoint, stated: Stated) -> list[Candidate]:
    """What is stated first, then the rest, the likeliest first."""
    conventions = [
        Convention(stated.img_range or c.img_range, stated.rgb_mean or c.rgb_mean)
        for c in checkpoint.conventions
    ]
    every = list(dict.fromkeys([*conventions, *checkpoint.conventions]))
    return [Candidate(c, res_scale) for c in every for res_scale in _res_scales(checkpoint, stated.res_scale)]


def _res_scales(checkpoint: Checkpoint, stated: float | None) -> Sequence[float]:
    if checkpoint.description.network == "mdsr":  # which has none
        return (1.0,)
    usual = RES_SCALES if checkpoint.description.features < 256 else RES_SCALES[::-1]
    return usual if stated is None else tuple(dict.fromkeys((stated, *usual)))
