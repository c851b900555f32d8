import os
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from edsr_int8.errors import InputError
from edsr_int8.pipeline import params
from edsr_int8.pipeline.rows import Params
from edsr_int8.quantization.recipe import Carriers, Finetune, Override, Statistics

INTEGER = {"runtime": "integer", "threads": 0, "memory_budget_mb": 1}
HOME = os.path.expanduser("~")
PRESET = Path(__file__).resolve().parents[2] / "presets" / "sample.yaml"


def load(tmp_path: Path, *edits: tuple[str, Any], preset: Path = PRESET) -> Params:
    """A preset with values put at dotted keys (... deletes), read back."""
    tree = YAML(typ="safe").load(preset.read_text(encoding="utf-8"))
    for key, value in edits:
        *parents, last = key.split(".")
        place = tree
        for parent in parents:
            place = place[parent]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    file = tmp_path / "params.yaml"
    YAML(typ="safe").dump(tree, file)
    return params.load(file)


def test_values_arrive_typed(tmp_path: Path) -> None:
    rows = load(tmp_path, ("models.edsr_x2_sample.shape", [64, 48]), ("precisions.int8.percentile", 100))
    assert rows.models["edsr_x2_sample"].fixed_shape == (64, 48)
    assert rows.models["edsr_x1_sample"].fixed_shape is None
    assert isinstance(rows.precisions["int8"].percentile, float)
    assert rows.models["edsr_x2_sample"].evaluation == ("sample_x2",)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("models.edsr_x2_sample.feature", 64, ["models.edsr_x2_sample.feature", "unknown key", "features"]),
        ("models.edsr_x2_sample.features", "many", ["features", "a whole number", "'many'"]),
        ("models.edsr_x2_sample.features", 0, ["features", "from 1 to 1024"]),
        ("models.edsr_x2_sample.features", True, ["features", "a whole number", "True"]),
        ("models.edsr_x2_sample.features", ..., ["models.edsr_x2_sample", "missing features"]),
        ("models.edsr_x2_sample.source", "basic", ["source", "'official', 'basicsr'"]),
        ("models.edsr_x2_sample.scale", True, ["models.edsr_x2_sample.scale", "a whole number", "True"]),
        ("models.edsr_x2_sample.scale", 9, ["models.edsr_x2_sample.scale", "from 1 to 8"]),
        ("models.edsr_x2_sample.scale", 5, ["models.edsr_x2_sample.scale", "(2, 3, 4, 8)"]),
        ("models.edsr_x2_sample.img_range", 0, ["models.edsr_x2_sample.img_range", "0"]),
        ("models.edsr_x2_sample.rgb_mean", [0.5, 0.5], ["edsr_x2_sample.rgb_mean", "more entries"]),
        ("models.edsr_x2_sample.rgb_mean", [0, 0, 0, 0], ["edsr_x2_sample.rgb_mean", "fewer entries"]),
        ("models.edsr_x2_sample.rgb_mean", [114, 111, 103], ["rgb_mean", "from 0 to 1"]),
        ("models.edsr_x2_sample.scale", 3, ["models.edsr_x2_sample", "sample_x2 has scale 2"]),
        ("models.edsr_x2_sample.evaluation", [], ["evaluation", "at least one"]),
        ("models.edsr_x2_sample.evaluation", ["set6"], ["evaluation", "'set6'", "sample_x2"]),
        (
            "models.edsr_x2_sample.protocols",
            ["offical"],
            ["protocols[0]", "'offical'", "'official', 'basicsr'"],
        ),
        ("models.edsr_x2_sample.protocols", ["card"], ["shape", "card"]),
        ("models.edsr_x2_sample.shape", [256], ["shape", "[height, width]"]),
        ("models.edsr_x1_sample.upsampler", "direct", ["models.edsr_x1_sample", "scale", "direct"]),
        ("models.edsr_x2_sample.reference", {"psnr": 34.6}, ["reference.psnr", "psnr_db"]),
        ("models.a/b", {}, ["models", "'a/b'", "letters, digits and _"]),
        ("models." + "m" * 65, {}, ["models", "mmm...", "at most 64 letters"]),
        ("models.edsr_x2_sample.weights", "w" * 4097, ["edsr_x2_sample.weights", "4097", "at most 4096"]),
        ("models.edsr_x2_sample.res_scale", float("nan"), ["res_scale", "a finite number"]),
        ("models.edsr_x2_sample.shape", [256, 0], ["shape: expected native or [height, width]"]),
        ("models.edsr_x2_sample.shape", ..., ["models.edsr_x2_sample: missing shape"]),
        ("models.shape", {}, ["models.shape: missing", "features", "shape"]),
        ("models.edsr_x2_sample.shape", "fixed", ["shape: expected native or [height, width]", "'fixed'"]),
        ("models.edsr_x2_sample.weights", 3, ["weights", "text", "quotes"]),
        ("models.edsr_x2_sample.weights", date(2001, 1, 1), ["weights", "the date 2001-01-01", "quotes"]),
        (
            "datasets.sample_x2.path",
            "~/photos",
            ["datasets.sample_x2.path", "~/photos", f"write {HOME}/photos"],
        ),
        (
            "models.edsr_x2_sample.weights",
            "~/x2.pt",
            ["models.edsr_x2_sample.weights", f"write {HOME}/x2.pt"],
        ),
        ("precisions.int8.percentile", 101, ["precisions.int8.percentile", "from 50 to 100"]),
        ("precisions.int8.percentile", "99,9", ["precisions.int8.percentile", "a number"]),
        ("precisions.int8.ranges", "median", ["precisions.int8.ranges", "median", "percentile", "entropy"]),
        ("precisions.int8.gptq", 1, ["precisions.int8.gptq", "true or false"]),
        ("precisions.int8.unify_scales", "yes", ["precisions.int8.unify_scales", "true or false"]),
        ("precisions.int8.finetune", {"step": 9}, ["precisions.int8.finetune.step", "did you mean steps"]),
        ("precisions.int8.finetune", {"steps": -1}, ["precisions.int8.finetune.steps", "from 0 to"]),
        ("precisions.int8.overrides", [{"tensors": "head"}], ["precisions.int8.overrides[0]", "ranges"]),
        (
            "precisions.int8.high_precision_budget",
            1.5,
            ["precisions.int8.high_precision_budget", "from 0 to 1"],
        ),
        ("precisions.fp32.channel_transform", True, ["precisions.fp32", "dtype only"]),
        ("precisions.int8.dtype", "bfloat16", ["precisions.int8", "a bfloat16 row takes dtype only"]),
        ("precisions.fp32.high_precision_budget", 0.1, ["precisions.fp32", "dtype only"]),
        ("precisions.fp32", ..., ["precisions", "fp32"]),
        ("precisions.checkpoint", {"dtype": "float32"}, ["precisions.checkpoint", "choose another"]),
        (
            "targets.finetune",
            {"runtime": "integer", "threads": 0, "memory_budget_mb": 1},
            ["targets.finetune", "choose another"],
        ),
        ("precisions.nfiles", {"dtype": "float32"}, ["precisions.nfiles", "run cache"]),
        ("models.edsr_x2_sample.reference", {"size": 1}, ["reference.size", "run cache"]),
        ("targets.onnxruntime", ..., ["targets", "onnxruntime"]),
        ("targets.card", {"runtime": "vacc", "threads": 2}, ["targets.card.threads", "it reads outputs"]),
        ("targets.exact", INTEGER | {"provider": "fused"}, ["targets.exact.provider", "it reads rounding"]),
        ("targets.onnxruntime.rounding", "fused", ["targets.onnxruntime.rounding", "it reads provider"]),
        ("targets.exact", INTEGER | {"rounding": "even"}, ["targets.exact.rounding", "'fixed_point+fused'"]),
        ("targets.onnxruntime.threads", 1025, ["targets.onnxruntime.threads", "from 0 to 1024"]),
        ("targets.onnxruntime.runtime", "tensorflow", ["runtime", "'tensorflow'"]),
        ("datasets.sample_x2.hr", "", ["datasets.sample_x2", "hr and lr"]),
        ("datasets.sample_blur.scale", 2, ["datasets.sample_blur.scale", "deblur is 1"]),
        ("datasets.sample_x2.seed", 1, ["datasets.sample_x2.seed", "task deblur", "leave it out"]),
        ("datasets.sample_x2.crop", 193, ["datasets.sample_x2.crop", "no multiple of scale 2"]),
        ("datasets.sample_x2.hr", "/abs/*.png", ["datasets.sample_x2.hr", "/abs/*.png", "inside path"]),
        ("datasets.sample_x2.hr", "**x/*.png", ["datasets.sample_x2.hr", "**x/*.png"]),
        ("datasets.sample_x2.hr", "**.png", ["datasets.sample_x2.hr", "**.png"]),
        ("datasets.sample_x2.hr", ".", ["datasets.sample_x2.hr", "names no file"]),
        ("datasets.sample_x2.lr", "./", ["datasets.sample_x2.lr", "names no file"]),
        ("calibration", None, ["calibration", "keys and values"]),
        ("model", {}, ["model", "did you mean models"]),
        ("fid", {"weights": "w.pth"}, ["fid", "missing sha256"]),
        ("fid", {"weights": "w.pth", "sha256": "67"}, ["fid.sha256", "hex digits", "'67'"]),
        ("fid", {"weights": "data/fetched/w.pth", "sha256": "6726825d"}, ["fid.weights", "another folder"]),
        ("fid", {"weights": "w.pth", "sha256": "6726825d", "patch": 0}, ["fid.patch", "from 1 to 2048"]),
        ("models", {}, ["models", "no row"]),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, key: str, value: Any, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, (key, value))
    message = str(caught.value)
    assert "params.yaml" in message and "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("edsr_x3.start", "", ["start: empty", "data/weights/random"]),
        ("edsr_x3.datasets", ["div2k_train_x2"], ["datasets", "div2k_train_x2 has scale 2", "scale 3"]),
        ("mdsr.datasets", ["div2k_train_x2", "div2k_train_x4"], ["none has scale 3", "2, 3, 4"]),
        ("mdsr.validation", ["div2k_x4"], ["mdsr.validation", "none has scale 2"]),
        ("mdsr.halve_every", -1, ["halve_every", "from 0 to"]),
        ("mdsr.learning_rate", float("inf"), ["mdsr.learning_rate", "a finite number"]),
        ("mdsr.learning_rate", 2, ["mdsr.learning_rate", "from 0 to 1"]),
        ("mdsr.seed", 2**64, ["mdsr.seed", "from 0 to 4294967295"]),
    ],
)
def test_training_row_that_does_not_fit_is_refused(
    tmp_path: Path, key: str, value: Any, words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, (f"training.{key}", value), preset=PRESET.with_name("train_div2k.yaml"))
    assert all(word in str(caught.value) for word in ("params.yaml", *words)), caught.value


RENAMED = {
    "mix": "channel_transform",
    "even": "equalize",
    "bypass": "fold_long_skip",
    "narrow": "collapse_tail",
    "share": "unify_scales",
    "tuning": "finetune (steps, batch) and statistics (crops, patch, seed)",
    "float_layers": "high_precision_layers",
    "budget": "high_precision_budget",
    "finetune.crops": "statistics.crops",
    "finetune.patch": "statistics.patch",
    "finetune.seed": "statistics.seed",
}


@pytest.mark.parametrize("old", RENAMED)
def test_a_renamed_key_is_refused_with_its_new_name(tmp_path: Path, old: str) -> None:
    section, _, key = old.rpartition(".")
    edit = (f"precisions.int8.{section}", {key: 1}) if section else (f"precisions.int8.{key}", True)
    with pytest.raises(InputError, match=re.escape(f"precisions.int8.{old}: this key is now {RENAMED[old]}")):
        load(tmp_path, edit)


def test_keys_of_the_int8_row_arrive(tmp_path: Path) -> None:
    switches = (
        "channel_transform",
        "equalize",
        "unify_scales",
        "collapse_tail",
        "fold_long_skip",
        "fold_head",
        "gptq",
    )
    keys: dict[str, Any] = dict.fromkeys(switches, True)
    keys |= {
        "carriers": {"trunk": 3, "tail": 2},
        "finetune": {"steps": 30, "batch": 4},
        "statistics": {"crops": 7},
        "overrides": [{"tensors": "head", "ranges": "search"}],
    }
    found = load(tmp_path, *((f"precisions.int8.{key}", value) for key, value in keys.items()))
    row = found.precisions["int8"]
    assert all(getattr(row, key) for key in switches) and row.carriers == Carriers(trunk=3, tail=2)
    assert row.finetune == Finetune(30, 4) and row.statistics == Statistics(crops=7)
    assert row.overrides == (Override("head", "search"),)


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ({"percentile": ...}, "precisions.int8: missing percentile"),
        ({"ranges": "minmax"}, "precisions.int8.percentile: is ignored with ranges: minmax"),
        ({"overrides": [{"tensors": "head", "ranges": "percentile"}]}, "overrides[0]: missing percentile"),
        (
            {"overrides": [{"tensors": "head", "ranges": "mse", "percentile": 99}]},
            "precisions.int8.overrides[0].percentile: is ignored with ranges: mse",
        ),
        ({"statistics": {"crops": 3}}, "precisions.int8.statistics: nothing in this row learns from crops"),
        ({"finetune": {"batch": 3}}, "precisions.int8.finetune.batch: is ignored with 0 steps"),
        ({"finetune": {"steps": 0, "batch": 3}}, "finetune.batch: is ignored with 0 steps"),
        ({"collapse_tail": True}, "precisions.int8.collapse_tail: needs carriers.tail"),
        (
            {"high_precision_dtype": "uint16"},
            "precisions.int8.high_precision_dtype: nothing in this row is above 8 bits",
        ),
        (
            {"high_precision_dtype": "uint16", "high_precision_budget": 0.1, "scheme": "int8_symmetric"},
            "precisions.int8.high_precision_dtype: uint16 is for scheme: uint8_asymmetric alone",
        ),
        ({"fold_head": True, "fold_long_skip": ...}, "precisions.int8.fold_head: needs fold_long_skip"),
        (
            {"carriers": {"trunk": 2}, "fold_long_skip": ..., "fold_head": ...},
            "precisions.int8.carriers.trunk: is ignored without fold_long_skip",
        ),
        ({"carriers": {"tail": 2}}, "precisions.int8.carriers.tail: is ignored without collapse_tail"),
        (
            {"cover_colours": True, "high_precision_budget": 0.1},
            "precisions.int8.carriers: is for strict int8",
        ),
    ],
)
def test_a_key_that_would_be_ignored_is_refused(tmp_path: Path, edits: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        load(tmp_path, *((f"precisions.int8.{key}", value) for key, value in edits.items()))


def test_two_choices_of_what_stays_in_float_are_refused(tmp_path: Path) -> None:
    keys = [
        ("precisions.int8.high_precision_budget", 0.1),
        ("precisions.int8.high_precision_layers", ["head"]),
    ]
    with pytest.raises(
        InputError,
        match=r"precisions\.int8: high_precision_layers and high_precision_budget .* "
        r"give one",
    ):
        load(tmp_path, *keys)


def test_text_that_is_no_yaml_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("models: [\n")
    with pytest.raises(InputError, match=r"params\.yaml: not YAML") as caught:
        params.load(file)
    assert "\n" not in str(caught.value)


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(PRESET.read_text() + "\ncalibration: {images: 3}\n")
    with pytest.raises(InputError, match="calibration"):
        params.load(file)


def test_numbers_read_as_dvc_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(PRESET.read_text().replace("percentile: 99.999", "percentile: 9.9e1", 1))
    assert params.load(file).precisions["int8"].percentile == 99.0


def test_home_is_put_in_where_dvc_does_not_watch_the_path(tmp_path: Path) -> None:
    rows = load(
        tmp_path,
        ("mirror", "~/mirror"),
        ("fid", {"weights": "~/w.pth", "sha256": "6726825d"}),
        ("targets.card", {"runtime": "vacc", "outputs": "~/outputs"}),
    )
    assert rows.fid is not None
    found = [rows.mirror, rows.fid.weights, rows.targets["card"].outputs]
    assert found == [str(Path.home() / name) for name in ("mirror", "w.pth", "outputs")]


LAUGHS = "\n".join(["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]" for n in range(1, 9))])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "the anchor a0: write the value itself"),
        ("a: " + "[" * 900 + "]" * 900, "more than 16 deep"),
        ("a: " + "{b: " * 900, "more than 16 deep"),
        ("a: " + "9" * 5000, "not YAML"),
        ("a: 2026-99-99", "not YAML"),
        ("a: [", "not YAML"),
        ("a: 1\na: 2", "not YAML"),
        ("!!python/object/apply:os.system [ls]", "not YAML"),
        ("a: !!binary x", "not YAML"),
        ('mirror: "a\\0b"', "mirror: holds a line end or a control character"),
        ('mirror: "a\\nb"', "mirror: holds a line end or a control character"),
        ("? [1, 2]\n: 3", "a name is text of letters"),
        ('"a\\nb": 3', "a name is text of letters"),
        ("- 1", ""),
        ("", ""),
        ("x" * 2**21, "has more than 1048576 bytes"),
    ],
)
def test_what_is_no_settings_ends_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        params.load(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ") and words in message
    assert "\n" not in message and len(message) < 1000


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x00" * 99])
def test_what_is_no_text_ends_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(InputError, match="not YAML"):
        params.load(tmp_path / "params.yaml")


MODEL, INT8 = "models.edsr_x2_sample", "precisions.int8_tuned"
TOO_MUCH = [
    (f"{MODEL}.blocks", 3_000_000), (f"{MODEL}.features", 10**400), (f"{MODEL}.shape", [10**9, 10**9]),
    (f"{MODEL}.res_scale", 1e300), (f"{MODEL}.img_range", 1e300), ("calibration.images", 10**9),
    (f"{INT8}.statistics.crops", 10**9), (f"{INT8}.statistics.patch", 10**9),
    (f"{INT8}.finetune", {"steps": 10**9}), (f"{INT8}.finetune", {"steps": 1, "batch": 10**9}),
    ("datasets.sample_blur.copies", 10**8), ("datasets.sample_blur.limit", 10**400),
    ("datasets.sample_blur.crop", 10**9),
    ("targets.onnxruntime.memory_budget_mb", 10**12), ("targets.onnxruntime.threads", 10**9),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), TOO_MUCH)
def test_numbers_have_limits(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, (key, value))
    message = str(caught.value)
    assert key in message and len(message) < 400
    assert "allowed: " in message or "native or [height, width]" in message


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ([(f"{MODEL}.features", 1024), (f"{MODEL}.blocks", 512)], "parameters; at most 500000000"),
        (
            [(f"{INT8}.statistics", {"crops": 1_000_000, "patch": 64})],
            "statistics.crops: 1000000 crops of 64x64",
        ),
        ([(f"{MODEL}.evaluation", ["sample_x2", "sample_x2"])], "evaluation: names sample_x2 twice"),
        ([(f"{MODEL}.protocols", ["official", "official"])], "protocols: names official twice"),
        ([(f"{MODEL}.sha256", "XYZ")], "sha256: expected 8 to 64 lower-case hex digits"),
        ([(f"{MODEL}.weights", "~nosuchuser/x.pt")], "~nosuchuser/x.pt: there is no such user"),
        ([("mirror", "~nosuchuser/x")], "mirror: ~nosuchuser/x: there is no such user"),
        ([("mirror", "http://[::1")], "mirror: 'http://[::1' is no URL"),
    ],
)
def test_what_would_fail_later_is_refused(tmp_path: Path, edits: list[tuple[str, Any]], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        load(tmp_path, *edits)


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://a:99999/x", "https:///x", "ftp://a/x", "x.zip", "", "https://a/%00.zip", "drive"],
)
def test_urls_that_cannot_be_fetched_are_refused(tmp_path: Path, url: str) -> None:
    row = {"urls": [url], "sha256": "0" * 64, "unpack": ""}
    with pytest.raises(InputError, match=r"downloads\.a\.urls: "):
        load(tmp_path, ("downloads", {"a": row}))
