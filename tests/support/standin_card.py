"""The preset `card` on tiny images and networks: the same rows and names, made-up files on a local server."""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import torch
from foreign_checkpoints import foreign_state
from http_server import Served
from ruamel.yaml import YAML

from edsr_int8.data.degrade.bicubic import reduce
from edsr_int8.data.download.urls import file_name
from edsr_int8.models.description import Description

PRESET = Path(__file__).resolve().parents[2] / "presets" / "card.yaml"
SIDE = 48  # of a reference image: what official shaves at x4, and a window of SSIM
Tree = dict[str, Any]


def standin(models: Iterable[str]) -> Tree:
    """The preset with only these models and what they need, as small as it gets."""
    tree = YAML(typ="safe").load(PRESET.read_text(encoding="utf-8"))
    keep(tree, "models", models)
    rows = tree["models"].values()
    keep(tree, "training", [name for name in tree["training"] if any(name in row["weights"] for row in rows)])
    trained = tree["training"].values()
    used = [name for row in rows for name in (*row["evaluation"], row["calibration"])]
    keep(
        tree, "datasets", used + [name for row in trained for name in (*row["datasets"], *row["validation"])]
    )
    paths = [row["weights"] for row in rows]
    paths += [f"{row['path']}/{row[side]}" for row in tree["datasets"].values() for side in ("hr", "lr")]
    keep(tree, "downloads", [name for name in tree["downloads"] if f"/{name}/" in " ".join(paths)])
    for row in (*rows, *trained):
        row.update(features=4, blocks=1)
    for row in rows:
        row["shape"] = "native" if row["shape"] == "native" else [24, 32]
    for row in trained:
        row.update(steps=2, batch=1, patch=16, warmup=0, validate_every=2)
    tree["targets"]["onnxruntime"]["threads"] = 1
    return tree


def keep(tree: Tree, section: str, names: Iterable[str]) -> None:
    wanted = set(names)
    tree[section] = {name: row for name, row in tree[section].items() if name in wanted}


def bodies(tree: Tree) -> dict[str, bytes]:
    """The content of every row of downloads."""
    held = {
        "div2k_valid_hr": zipped(pictures("DIV2K_valid_HR/{}.png", ("0801", "0802"))),
        **{f"div2k_valid_lr_x{s}": div2k_lr("valid", ("0801", "0802"), s) for s in (2, 3, 4)},
        **{f"div2k_train_lr_x{s}": div2k_lr("train", ("0001", "0002"), s) for s in (2, 3, 4)},
        "gopro": zipped(gopro()),
    }
    return {name: held[name] if name in held else checkpoint(tree, name) for name in tree["downloads"]}


def div2k_lr(part: str, names: Iterable[str], scale: int, *, made_at: int = 0) -> bytes:
    """An archive of DIV2K's reduced images; with `made_at`, by mistake, of another scale than it says."""
    path = f"DIV2K_{part}_LR_bicubic/X{scale}/{{}}x{scale}.png"
    return zipped(pictures(path, names, scale=made_at or scale))


def pictures(path: str, names: Iterable[str], *, scale: int = 1, shift: int = 0) -> dict[str, bytes]:
    """PNG files at `path`, each with its name filled in: coarse fields of colour, another for each name."""
    files = {}
    for name in names:
        coarse = np.random.default_rng(int(name)).integers(0, 256, (6, 6, 3)).astype(np.uint8)
        image = np.roll(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), shift, axis=1)
        made = reduce(image, scale) if scale > 1 else image
        files[path.format(name)] = cv2.imencode(".png", made)[1].tobytes()
    return files


OTHER_TEST_SEQUENCES = (
    "0384_11_05", "0385_11_01", "0396_11_00", "0410_11_00", "0854_11_00",
    "0862_11_00", "0868_11_00", "0869_11_00", "0871_11_00", "0881_11_01",
)  # fmt: skip


def gopro() -> dict[str, bytes]:
    """All test sequences and three training sequences, as GOPRO_Large names them."""
    frames = {
        "test/GOPR0384_11_00": ("000001", "000002"),
        **{f"test/GOPR{name}": ("003011",) for name in OTHER_TEST_SEQUENCES},
        "train/GOPR0372_07_00": ("000050",),
        "train/GOPR0871_11_00": ("000100",),
        "train/GOPR0884_11_00": ("000005",),
    }
    return {
        path: body
        for sequence, names in frames.items()
        for side, shift in (("sharp", 0), ("blur", 1), ("blur_gamma", 2))
        for path, body in pictures(f"{sequence}/{side}/{{}}.png", names, shift=shift).items()
    }


def zipped(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return stream.getvalue()


def checkpoint(tree: Tree, download: str) -> bytes:
    """The checkpoint of the first model that uses the row; BasicSR's holds only the averaged weights."""
    row = next(row for row in tree["models"].values() if f"/{download}/" in row["weights"])
    fields = ("network", "features", "blocks", "scale", "res_scale", "upsampler")
    state = foreign_state(row["source"], Description(*(row[field] for field in fields)), seed=0)
    stream = io.BytesIO()
    torch.save({"params_ema": state["params"]} if row["source"] == "basicsr" else state, stream)
    return stream.getvalue()


def publish(tree: Tree, download: str, body: bytes, files: dict[str, Served], host: str) -> None:
    """Serve `body` at the row's addresses, now on `host`, and write its hash into the row.

    Files of Google Drive are served from host/mirror instead. A hash of 8 digits stays one of 8 digits.
    """
    row = tree["downloads"][download]
    digest = hashlib.sha256(body).hexdigest()
    row["sha256"] = digest[: len(row["sha256"])]
    if "bytes" in row:
        row["bytes"] = len(body)
    drive = row["urls"][0].startswith("drive:")
    path = f"mirror/{file_name(row['urls'][0])}" if drive else f"{digest[:4]}{urlsplit(row['urls'][0]).path}"
    files[path] = Served(body)
    if not drive:
        row["urls"] = [f"{host}{path}"]
