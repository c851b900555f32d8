"""The figures behind the charts: what `dvc plots` draws and what the page draws."""

from collections.abc import Iterable, Mapping
from typing import Any

from edsr_int8.pipeline.rows import REFERENCE_TARGET, Model
from edsr_int8.report.table import Row, Scores, reference_of, score_of

# Files under results/plots, each with its columns and their formats.
DROP = {"build": "", "psnr_drop_db": ".4f", "fidelity_db": ".4f"}
PER_IMAGE = {
    "model": "",
    "precision": "",
    "target": "",
    "dataset": "",
    "protocol": "",
    "image": "",
    "psnr_db": ".4f",
    "input_psnr_db": ".4f",
    "psnr_drop_db": ".4f",
    "fidelity_db": ".4f",
}


def drop(rows: Iterable[Row]) -> list[Row]:
    """What each build loses against fp32, under one name: `dvc plots` has a single axis for it."""
    return [
        {"build": _build(row), "psnr_drop_db": row["psnr_drop_db"], "fidelity_db": row["fidelity_db"]}
        for row in rows
        if row["psnr_drop_db"] is not None
    ]


def _build(row: Row) -> str:
    """What tells builds apart comes first, since Vega cuts long labels."""
    names = [row[column] for column in ("model", "precision", "protocol", "dataset", "target")]
    return " ".join(names[:-1] if row["target"] == REFERENCE_TARGET else names)


def per_image(models: Mapping[str, Model], scores: Scores) -> list[Row]:
    """What each image lost against fp32, for every build that has an fp32 one to compare with."""
    rows = []
    for key in scores:
        for dataset in models[key[0]].evaluation:
            for protocol in models[key[0]].protocols:
                score = score_of(scores, key, dataset, protocol)
                fp32 = score_of(scores, reference_of(scores, key), dataset, protocol)
                names = dict(zip(PER_IMAGE, (*key, dataset, protocol), strict=False))
                rows += [{**names, **row} for row in _images(score, fp32)]
    return rows


def _images(score: Mapping[str, Any], fp32: Mapping[str, Any]) -> list[Row]:
    if not score or not fp32:
        return []
    psnr_db = {image["name"]: image["psnr_db"] for image in fp32["per_image"]}
    return [
        {
            "image": image["name"],
            "psnr_db": image["psnr_db"],
            "input_psnr_db": image["input_psnr_db"],
            "psnr_drop_db": psnr_db[image["name"]] - image["psnr_db"],
            "fidelity_db": image["fidelity_db"],
        }
        for image in score["per_image"]
    ]
