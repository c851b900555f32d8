"""The tables: a row per build, data set and protocol for quality, a row per build for speed."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edsr_int8.errors import InputError
from edsr_int8.files import write_csv
from edsr_int8.metrics.protocols import PROTOCOLS
from edsr_int8.pipeline.rows import REFERENCE_PRECISION, REFERENCE_TARGET, Model

Key = tuple[str, str, str]  # model, precision, target: the name of a build
# scores.json of every build, in the order of the rows; under `agreement` how its images compare with those
# of exact integer arithmetic.
Scores = Mapping[Key, Mapping[str, Any]]
Row = dict[str, Any]  # column -> value; None is an empty cell

# Columns in their order, each with the format of its values.
QUALITY = {
    "model": "",
    "source": "",
    "precision": "",
    "target": "",
    "dataset": "",
    "protocol": "",
    "images": "d",
    "shape": "",
    "psnr_db": ".4f",
    "ssim": ".6f",
    "fid": ".4f",
    "input_psnr_db": ".4f",
    "psnr_drop_db": ".4f",
    "fidelity_db": ".4f",
    "params_m": ".6f",
    "gmacs": ".3f",
    "model_mb": ".3f",
    "status": "",
    "float_mac_share": ".4f",  # of MACs, those of convolutions with an input or output above 8 bits
    "float_byte_share": ".4f",  # of the layers' output bytes, those above 8 bits
    "integer_equal_share": ".6f",
    "integer_max_difference": "d",
    "fid_patches": "d",  # fid is too large where they are few
    "fid_skipped": "",  # why fid was asked for and is not there
    "card_flops_g": ".3f",
    "reference_psnr_db": ".3f",
    "reference_ssim": ".3f",
    "reference_card_flops_g": ".3f",
    "reference_params_m": ".3f",
}
SPEED = {
    "model": "",
    "precision": "",
    "target": "",
    "shape": "",
    "latency_ms": ".3f",
    "spread_ms": ".3f",
    "megapixels_per_s": ".4f",
    "peak_memory_mb": ".1f",
    "load_s": ".3f",
    "machine": "",
    "runtime": "",
    "version": "",
    "threads": "d",
    "status": "",
}
SHOWN = {  # what fits a terminal
    "model": "",
    "precision": "",
    "target": "",
    "dataset": "",
    "protocol": "",
    "input_psnr_db": ".3f",
    "psnr_db": ".3f",
    "psnr_drop_db": ".3f",
    "ssim": ".4f",
    "fid": ".2f",
    "fid_patches": "d",
    "model_mb": ".2f",
}
ASKED_FOR = ("fid", "fid_patches")  # shown where any row has them
FIGURES = ("psnr_db", "ssim", "fid", "input_psnr_db", "psnr_drop_db", "fidelity_db")


def quality(models: Mapping[str, Model], scores: Scores) -> list[Row]:
    """One row per build, data set and protocol, in the order of `scores` and of the models' own lists.

    A build that its target could not run keeps its rows, with the reason and no figures.
    """
    return [
        _quality_row(models[key[0]], scores, key, dataset, protocol)
        for key in scores
        for dataset in models[key[0]].evaluation
        for protocol in models[key[0]].protocols
    ]


def _quality_row(model: Model, scores: Scores, key: Key, dataset: str, protocol: str) -> Row:
    score = score_of(scores, key, dataset, protocol)
    facts = scores[key].get("facts", {})
    fp32 = score_of(scores, reference_of(scores, key), dataset, protocol)
    return {
        **dict(zip(("model", "precision", "target"), key, strict=True)),
        "source": model.source,
        "dataset": dataset,
        "protocol": protocol,
        "shape": shape_text(model.fixed_shape),
        **{name: score.get(name) for name in ("images", *FIGURES, "fid_patches", "fid_skipped")},
        "psnr_drop_db": fp32["psnr_db"] - score["psnr_db"] if fp32 and score else None,
        **_agreement(scores[key], dataset, protocol),
        "params_m": _scaled(facts.get("params"), 1e6),
        "gmacs": facts.get("gmacs"),
        "float_mac_share": facts.get("float_mac_share"),
        "float_byte_share": facts.get("float_byte_share"),
        "model_mb": _scaled(facts.get("model_bytes"), 1e6),
        "status": _status(scores[key], dataset, protocol),
        "card_flops_g": facts.get("card_flops_g"),
        **_published(model.reference, key[1], protocol),
    }


def score_of(scores: Scores, key: Key | None, dataset: str, protocol: str) -> Mapping[str, Any]:
    """What a build scored; empty where there is no such build or its target gave no such images."""
    if key is None or scores[key]["status"] != "ok":
        return {}
    try:
        score: Mapping[str, Any] = scores[key]["datasets"][dataset][protocol]
        return {} if "unavailable" in score else score
    except KeyError:
        raise InputError(
            f"scores of {'/'.join(key)}: nothing for {dataset} under {protocol}; run dvc repro"
        ) from None


def _status(scored: Mapping[str, Any], dataset: str, protocol: str) -> str:
    """The build's own, or why the target gave no images for this protocol."""
    why = scored["datasets"].get(dataset, {}).get(protocol, {}).get("unavailable")
    return f"unavailable: {why}" if why else scored["status"]


def _agreement(scored: Mapping[str, Any], dataset: str, protocol: str) -> Row:
    kind = "card" if PROTOCOLS[protocol].fixed_shape else "evaluation"
    found = scored.get("agreement", {}).get(f"{kind}/{dataset}", {})
    return {f"integer_{name}": found.get(name) for name in ("equal_share", "max_difference")}


def reference_of(scores: Scores, key: Key) -> Key | None:
    """The fp32 build that a build is measured against: on its own target, or else on the reference target."""
    model, precision, target = key
    if precision == REFERENCE_PRECISION:
        return None
    keys = [(model, REFERENCE_PRECISION, name) for name in (target, REFERENCE_TARGET)]
    return next((k for k in keys if k in scores and scores[k]["status"] == "ok"), None)


def _published(reference: Mapping[str, float], precision: str, protocol: str) -> Row:
    """Others' figures for a row: of fp32 or of int8, under the row's protocol or under none that is named."""
    of = "" if precision == REFERENCE_PRECISION else "int8_"

    def figure(name: str) -> float | None:
        return reference.get(f"{protocol}_{of}{name}", reference.get(f"{of}{name}"))

    return {
        "reference_psnr_db": figure("psnr_db"),
        "reference_ssim": figure("ssim"),
        "reference_card_flops_g": reference.get("card_flops_g"),
        "reference_params_m": reference.get("params_m"),
    }


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def shape_text(shape: tuple[int, int] | None) -> str:
    return "native" if shape is None else f"{shape[0]}x{shape[1]}"


def build_key(row: Row) -> Key:
    return row["model"], row["precision"], row["target"]


def speed(timings: Mapping[Key, Mapping[str, Any]]) -> list[Row]:
    """One row per build from its timing.json, in the order of `timings`."""
    return [
        {
            **{column: timing.get(column) for column in SPEED},
            **dict(zip(("model", "precision", "target"), key, strict=True)),
            "shape": f"{timing['height']}x{timing['width']}" if timing.get("height") else None,
        }
        for key, timing in timings.items()
    ]


def text(value: Any, spec: str) -> str:
    """A cell's text: '' for None, a fixed number of decimals, and never -0.0000."""
    if value is None:
        return ""
    if spec.endswith("f"):
        value = round(value, int(spec[1:-1])) + 0.0  # -0.0 + 0.0 is 0.0
    return format(value, spec)


def write_rows(path: Path, rows: Iterable[Row], columns: Mapping[str, str]) -> None:
    """Write `rows` under `columns` (name -> format)."""
    write_csv(path, columns, ([text(row[name], spec) for name, spec in columns.items()] for row in rows))


def metrics(rows: Iterable[Row]) -> dict[str, Any]:
    """The figures, as the table rounds them: {model: {precision: {target: {dataset: {protocol: {...}}}}}}."""
    tree: dict[str, Any] = {}
    for row in rows:
        figures = {name: float(text(row[name], QUALITY[name])) for name in FIGURES if row[name] is not None}
        if figures:
            leaf = tree
            for column in ("model", "precision", "target", "dataset"):
                leaf = leaf.setdefault(row[column], {})
            leaf[row["protocol"]] = figures
    return tree


def as_text(rows: Iterable[Row]) -> str:
    """The columns that matter most as an aligned Markdown table, then why figures are missing, once each."""
    rows = list(rows)
    shown = {
        name: spec
        for name, spec in SHOWN.items()
        if name not in ASKED_FOR or any(row["fid"] is not None for row in rows)
    }
    cells = [list(shown), *([text(row[name], spec) for name, spec in shown.items()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    styles = [f"{'>' if spec else '<'}{width}" for spec, width in zip(shown.values(), widths, strict=True)]
    rule = [
        "-" * (width - 1) + (":" if spec else "-") for spec, width in zip(shown.values(), widths, strict=True)
    ]
    lines = ["| " + " | ".join(map(format, line, styles)) + " |" for line in (cells[0], rule, *cells[1:])]
    reasons = [f"{row['target']}: {row['status']}" for row in rows if row["status"] != "ok"]
    reasons += [f"fid: skipped: {reason}" for reason in fid_reasons(rows)]
    return "\n".join([*lines, *dict.fromkeys(reasons)])


def fid_reasons(rows: Iterable[Row]) -> list[str]:
    """Why FID was asked for and is not there, each reason once."""
    return list(dict.fromkeys(row["fid_skipped"] for row in rows if row["fid_skipped"]))
