"""The rows behind the charts: `dvc plots` draws them from CSV files, the page draws them itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from edsr_int8.pipeline.rows import REFERENCE_TARGET
from edsr_int8.report.results import BuildKey, Results
from edsr_int8.report.table import Decibels, QualityRow, image_drops


@dataclass(frozen=True)
class DropRow:
    """A row of plots/drop.csv: what a build loses against fp32."""

    build: str  # all names in one: `dvc plots` has a single axis for them
    psnr_drop_db: Annotated[float, ".4f"]
    fidelity_db: Decibels


@dataclass(frozen=True)
class ImageRow:
    """A row of plots/per_image.csv: what one image loses against fp32."""

    model: str
    precision: str
    target: str
    dataset: str
    protocol: str
    image: str
    psnr_db: Annotated[float, ".4f"]
    input_psnr_db: Annotated[float, ".4f"]
    psnr_drop_db: Annotated[float, ".4f"]
    fidelity_db: Decibels

    @property
    def build(self) -> BuildKey:
        return BuildKey(self.model, self.precision, self.target)


def drop(rows: Iterable[QualityRow]) -> list[DropRow]:
    """Of every row that has a drop."""
    return [
        DropRow(_name(row), row.psnr_drop_db, row.fidelity_db) for row in rows if row.psnr_drop_db is not None
    ]


def _name(row: QualityRow) -> str:
    """The names that tell builds apart come first, since Vega cuts long labels."""
    names = [row.model, row.precision, row.protocol, row.dataset]
    return " ".join(names if row.target == REFERENCE_TARGET else [*names, row.target])


def per_image(results: Results) -> list[ImageRow]:
    """Of every image of every build that has an fp32 build to compare with."""
    rows = []
    for key in results.builds:
        model = results.models[key.model]
        for dataset in model.evaluation:
            for protocol in model.protocols:
                score = results.score(key, dataset, protocol)
                drops = image_drops(score, results.score(results.reference(key), dataset, protocol))
                rows += [
                    ImageRow(
                        *key, dataset, protocol, image.name, image.psnr_db, image.input_psnr_db,
                        drops[image.name], image.fidelity_db,
                    )
                    for image in (score.per_image if score and drops else ())
                ]  # fmt: skip
    return rows
