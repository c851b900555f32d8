"""What a report is made of: the rows of params.yaml, and what the stages wrote for every build and model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edsr_int8.artifacts import read_json
from edsr_int8.errors import InputError
from edsr_int8.metrics.conformance import Conformance
from edsr_int8.metrics.scores import BuildScores, Score, Unscored
from edsr_int8.pipeline.rows import REFERENCE_PRECISION, REFERENCE_TARGET, Model
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.report.analysis import Analysis
from edsr_int8.targets.figures import Timing


class BuildKey(NamedTuple):
    """The names of one build's rows in params.yaml."""

    model: str
    precision: str
    target: str


@dataclass(frozen=True)
class BuildResult:
    scores: BuildScores
    timing: Timing
    conformance: Mapping[str, Conformance]  # by {evaluation,card}/<data set>; empty where nothing is compared
    crops: Path  # folder of <data set>.{input,bicubic,output,reference}.png, as far as they are there


@dataclass(frozen=True)
class Results:
    models: Mapping[str, Model]
    recipes: Mapping[str, Recipe]  # by precision
    builds: Mapping[BuildKey, BuildResult]  # in the order of the table
    analyses: Mapping[str, Analysis]  # by model

    def score(self, key: BuildKey | None, dataset: str, protocol: str) -> Score | None:
        """None where there is no such build, or where its target gave no such images.

        InputError where the scores on disk are those of another params.yaml.
        """
        found = self.entry(key, dataset, protocol) if key else None
        return found if isinstance(found, Score) else None

    def entry(self, key: BuildKey, dataset: str, protocol: str) -> Score | Unscored:
        """A build's score, or the reason why it has none."""
        scores = self.builds[key].scores
        if scores.status != "ok":
            return Unscored(scores.status.removeprefix("unavailable: "))
        try:
            return scores.datasets[dataset][protocol]
        except KeyError:
            raise InputError(
                f"scores of {'/'.join(key)}: nothing for {dataset} under {protocol}; run dvc repro"
            ) from None

    def reference(self, key: BuildKey) -> BuildKey | None:
        """The fp32 build that a build is compared with: its own target's, or the reference target's.

        None for fp32 itself, and where neither target could run it.
        """
        if key.precision == REFERENCE_PRECISION:
            return None
        keys = [key._replace(precision=REFERENCE_PRECISION, target=t) for t in (key.target, REFERENCE_TARGET)]
        return next((k for k in keys if k in self.builds and self.builds[k].scores.status == "ok"), None)


def read_timing(path: Path) -> Timing:
    """InputError where the file holds no timing."""
    timing: Timing = read_json(path, Timing, "time")
    return timing


def read_conformance(path: Path, target: str) -> dict[str, Conformance]:
    """Of one target, by data set. InputError where the file holds none."""
    found: dict[str, dict[str, Conformance]] = read_json(path, dict[str, dict[str, Conformance]], "evaluate")
    return found.get(target, {})
