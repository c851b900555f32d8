"""The page: tables, charts and pictures in one HTML file that works from disk, without a network."""

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from edsr_int8.data.images import read_rgb
from edsr_int8.metrics.colours import COLOURS, SHIFTS
from edsr_int8.metrics.protocols import PROTOCOLS
from edsr_int8.pipeline.rows import REFERENCE_PRECISION
from edsr_int8.report import plots
from edsr_int8.report.markdown import fid_reasons, warning_lines
from edsr_int8.report.page import charts
from edsr_int8.report.page.causes import causes
from edsr_int8.report.page.distributions import BINS
from edsr_int8.report.results import BuildKey, Results
from edsr_int8.report.speed import SpeedRow, speed
from edsr_int8.report.table import QualityRow, quality

MINUS, NONE, APART = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{NARROW NO-BREAK SPACE}"


def render(results: Results) -> str:
    """The page's HTML: equal results give equal text."""
    rows = quality(results)
    speeds = {row.build: row for row in speed(results)}
    first = first_rows(rows)
    precisions = list(dict.fromkeys((REFERENCE_PRECISION, *(row.precision for row in rows))))
    return _template().render(
        models=results.models,
        rows=rows,
        speeds=speeds,
        first=first,
        # The number of each one's colour in the style sheet: 0 is fp32's hollow grey, 1 to 5 take turns.
        precisions={name: i and (i - 1) % 5 + 1 for i, name in enumerate(precisions)},
        targets=list(dict.fromkeys(row.target for row in rows)),
        fp32=REFERENCE_PRECISION,
        protocols=[PROTOCOLS[name] for name in dict.fromkeys(row.protocol for row in rows)],
        has_fid=any(row.fid is not None for row in rows),
        has_mixed=any(is_mixed(row) for row in rows),
        has_conformance=any(row.integer_equal_share is not None for row in rows),
        fid_reasons=fid_reasons(rows),
        warnings=warning_lines(rows),
        has_reference=any(model.reference for model in results.models.values()),
        findings=[_finding(first, speeds, name) for name in precisions[1:]],
        scatter=charts.scatter(first, rows, speeds),
        lanes=charts.lanes(rows, plots.per_image(results)),
        histogram_bins=BINS,
        causes=causes(results, first),
        pictures=[
            {"model": name, "dataset": dataset, "views": views}
            for name, model in results.models.items()
            for dataset in model.evaluation
            if (views := _views(results, name, dataset))
        ],
        colours={name: views for name in results.models if (views := _colours(results, name))},
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["fixed"] = fixed
    environment.tests["mixed"] = is_mixed
    # Style and script stand in the page itself, so that the file works from disk and without a network.
    environment.globals |= {"percent": percent}
    environment.globals |= {"style": Markup(_source("page.css")), "script": Markup(_source("page.js"))}
    return environment.from_string(_source("page.html"))


def _source(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def fixed(value: float | None, digits: int) -> str:
    """A number for reading: fixed decimals, thousands apart, a true minus; a dash for None."""
    if value is None:
        return NONE
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", MINUS).replace(",", APART)


def percent(ratio: float | None) -> float | None:
    """None stays None."""
    return None if ratio is None else 100 * ratio


def is_mixed(row: QualityRow) -> bool:
    """Whether an int8 build has layers above 8 bits."""
    return 0 < row.high_precision_byte_share < 1


def first_rows(rows: Iterable[QualityRow]) -> dict[str, dict[str, QualityRow]]:
    """model -> precision -> its first row with figures, in the order of the table."""
    first: dict[str, dict[str, QualityRow]] = {}
    for row in rows:
        if row.psnr_db is not None:
            first.setdefault(row.model, {}).setdefault(row.precision, row)
    return first


def _finding(
    first: Mapping[str, Mapping[str, QualityRow]], speeds: Mapping[BuildKey, SpeedRow], precision: str
) -> dict[str, str]:
    """What a precision costs and gains against fp32, as ranges over the models."""
    drops: list[float] = []
    sizes: list[float] = []
    paces: list[float] = []
    above: list[float] = []
    for of in first.values():
        row, fp32 = of.get(precision), of.get(REFERENCE_PRECISION)
        if row and fp32 and row.target == fp32.target and row.psnr_drop_db is not None:
            drops.append(row.psnr_drop_db)
            above += [100 * row.high_precision_mac_share] if is_mixed(row) else []
            sizes.append(100 * row.model_mb / fp32.model_mb)
            old, new = (speeds[build].latency_ms for build in (fp32.build, row.build))
            paces += [old / new] if old and new else []
    return {
        "precision": precision,
        "drop": _range(drops, 3),
        "bytes": _range(sizes, 0),
        "speed": _range(paces, 1),
        "above": _range(above, 0),
    }


def _range(values: Iterable[float], digits: int) -> str:
    ordered = sorted(values)
    return " to ".join(dict.fromkeys(fixed(value, digits) for value in (*ordered[:1], *ordered[-1:])))


def _views(results: Results, model: str, dataset: str) -> list[dict[str, Any]]:
    """The pictures of one data set; of each precision the output of the first target that ran it."""
    outputs: dict[str, Path] = {}
    for key, build in results.builds.items():
        if key.model == model and (build.crops / f"{dataset}.output.png").is_file():
            outputs.setdefault(key.precision, build.crops)
    if not outputs:
        return []
    common = next(iter(outputs.values()))
    scale = results.models[model].scale
    enlarged = [("bicubic", common / f"{dataset}.bicubic.png")] if scale > 1 else []
    files = [
        ("input", common / f"{dataset}.input.png"),
        *enlarged,
        *((precision, folder / f"{dataset}.output.png") for precision, folder in outputs.items()),
        ("reference", common / f"{dataset}.reference.png"),
    ]
    return [{"label": label, **_picture(path)} for label, path in files if path.is_file()]


def _colours(results: Results, model: str) -> list[dict[str, Any]]:
    """The colour chart, and how far each precision shifts it; of the first target that ran it."""
    found: dict[str, dict[str, Any]] = {}
    for key, build in results.builds.items():
        if key.model == model and (build.crops / SHIFTS).is_file():
            found.setdefault(REFERENCE_PRECISION, {"worst": None, **_picture(build.crops / COLOURS)})
            worst = max(build.scores.colour_shifts, default=None)
            found.setdefault(key.precision, {"worst": worst, **_picture(build.crops / SHIFTS)})
    return [{"label": label, **picture} for label, picture in found.items()]


def _picture(path: Path) -> dict[str, Any]:
    """A PNG as a data: URI, with its width and height. InputError where it is damaged."""
    height, width, _ = read_rgb(path).shape
    return {
        "src": f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}",
        "width": width,
        "height": height,
    }
