"""`edsr-int8 add`: rows for checkpoints of every layout, whose networks compute what the publisher's do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_checkpoints import State, mean_shift, official_mdsr_state, official_state, trained
from publishers import DIV2K, basicsr_forward, official_forward
from safetensors.torch import save_file
from skimage import data

from edsr_int8.__main__ import main
from edsr_int8.checkpoints.convert import convert, load_network
from edsr_int8.models.description import Description
from edsr_int8.pipeline import params
from edsr_int8.pipeline.rows import Model, Params

ROOT = Path(__file__).resolve().parents[2]
HALF, NO_MEAN = (0.5, 0.5, 0.5), (0.0, 0.0, 0.0)
X2 = Description("edsr", 16, 3, 2, 1.0, "pixelshuffle")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, as far as `add` sees a repository in it."""
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").write_bytes((ROOT / "presets" / "sample.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def added(folder: Path, *arguments: str) -> tuple[Params, Model]:
    """The rows after `edsr-int8 add`, and the model's, which is the last one."""
    before = params.load(folder / "params.yaml")
    assert main(["add", *arguments]) == 0
    after = params.load(folder / "params.yaml")
    assert {**after.models, **before.models} == after.models and len(after.models) == len(before.models) + 1
    assert {**after.datasets, **before.datasets} == after.datasets
    return after, list(after.models.values())[-1]


def of_row(row: Model, folder: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network that the row converts to, in grey levels."""
    convert(
        Path(row.weights), row.source, row.description, folder / "network",
        img_range=row.img_range, rgb_mean=row.rgb_mean,
    )  # fmt: skip
    return load_network(folder / "network")[0]


def photograph(colours: int = 3) -> torch.Tensor:
    image = data.astronaut()[:48, 200:248].transpose(2, 0, 1)[None]
    return torch.from_numpy(np.ascontiguousarray(image[:, :1] if colours == 1 else image)).float()


NETWORKS = {
    "range1_div2k": (1, DIV2K, 1.0),
    "range1_div2k_res01": (1, DIV2K, 0.1),
    "range1_mean0": (1, NO_MEAN, 1.0),
    "range255_mean0": (255, NO_MEAN, 1.0),
    "range2_half": (2, HALF, 1.0),
    "range1_mean0_grey": (1, (0,), 1.0),
}
SAVED: dict[str, Callable[[State, Path], None]] = {
    "params": lambda state, path: torch.save({"params": state, "params_ema": state}, path),
    "prefix": lambda s, path: torch.save({"state_dict": {f"generator.{n}": s[n] for n in s}}, path),
    "safetensors": save_file,
    "old": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("publisher", "saved"),
    [("official", "old"), ("official", "safetensors"), ("basicsr", "params"), ("mmagic", "prefix")],
)
def test_the_row_is_the_network(name: str, publisher: str, saved: str, folder: Path) -> None:
    img_range, rgb_mean, res_scale = NETWORKS[name]
    state = trained(name, publisher)
    if publisher == "official" and any(rgb_mean):
        state |= {n: t.half() for n, t in mean_shift(tuple(img_range * x for x in rgb_mean)).items()}
    SAVED[saved](state, folder / "w.pt")
    _, row = added(folder, "w.pt")
    description = Description("edsr", 16, 3, 2, res_scale, "pixelshuffle")
    assert row.description == description
    image = photograph(len(rgb_mean))
    if publisher == "official":
        exact = state | mean_shift(tuple(img_range * x for x in (*rgb_mean, 0, 0)[:3]))
        x = image / 255 * img_range
        expected = official_forward(x, exact, description, uses_mean=any(rgb_mean)) * 255 / img_range
    else:
        stated = {"img_range": img_range, "rgb_mean": rgb_mean}
        expected = 255 * basicsr_forward(image / 255, state, description, **stated)
    output = of_row(row, folder)(image.expand(-1, 3, -1, -1))
    assert (output - expected).abs().max() < 0.01


def test_super_image(folder: Path) -> None:
    state = trained("range1_mean0", "official") | mean_shift()
    torch.save(state, folder / "pytorch_model_2x.pt")
    after, row = added(folder, "pytorch_model_2x.pt")
    assert (row.img_range, row.rgb_mean) == (1, NO_MEAN) and "pytorch_model_2x" in after.models
    expected = 255 * official_forward(photograph() / 255, state, X2, uses_mean=False)
    assert (of_row(row, folder)(photograph()) - expected).abs().max() < 0.01


@pytest.mark.parametrize("file", ["edsr_x2_sample.pt", "edsr_x1_sample.pth"])
def test_the_sample_networks_get_the_rows_that_they_have(file: str, folder: Path) -> None:
    after, row = added(folder, str(ROOT / "data" / "weights" / file), "--name", "mine")
    sample = after.models[Path(file).stem]
    assert row.description == sample.description and row.source == sample.source
    assert (row.evaluation, row.calibration) == (sample.evaluation, sample.calibration)
    assert row.protocols == sample.protocols and row.shape == "native" and Path(row.weights).is_absolute()


@pytest.mark.parametrize(
    ("file", "upsampler"),
    [
        ("edsr_mobile_f32b5x2.pt", "direct"),
        ("edsr_r8f64x2_official.pt", "pixelshuffle"),
        ("EDSR_Sx2_f64b8_basicsr.pth", "pixelshuffle"),
        ("trained/edsr_x2.pt", "pixelshuffle"),
        ("trained/edsr_x1.pth", "none"),
    ],
)
def test_published_networks(file: str, upsampler: str, shared: Path, folder: Path) -> None:
    _, row = added(folder, str(shared / "weights" / file))
    mean = NO_MEAN if upsampler == "direct" else DIV2K
    assert (row.upsampler, row.res_scale, row.img_range, row.rgb_mean) == (upsampler, 1.0, 255, mean)


def test_folders_become_data_sets(folder: Path) -> None:
    for name in ("mine/a.png", "others/x/b.JPG", "others/x/c.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    torch.save(trained("range1_div2k", "basicsr"), folder / "my net-2.pth")
    after, row = added(folder, "my net-2.pth", "--images", "mine", "--calibration", "others")
    images, others = after.datasets["my_net_2_evaluation"], after.datasets["my_net_2_calibration"]
    assert (images.path, images.hr, images.lr, images.scale) == (str(folder / "mine"), "*.png", "", 2)
    assert (others.path, others.hr) == (str(folder / "others"), "**/*.jpg")
    assert row.evaluation == ("my_net_2_evaluation",) and row.calibration == "my_net_2_calibration"


def test_a_scale_without_sample_rows_gets_some(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = official_mdsr_state(Description("mdsr", 6, 1, 2, 1.0, "pixelshuffle"), 0)
    torch.save(state, folder / "mdsr.pt")
    stated = ("--img-range", "255", "--rgb-mean", "0.4488", "0.4371", "0.404")
    after, row = added(folder, "mdsr.pt", "--scale", "3", *stated)
    assert (row.network, row.scale, row.calibration) == ("mdsr", 3, "sample_x3_calibration")
    assert after.datasets["sample_x3_evaluation"].path == "build/sample"
    _, again = added(folder, "mdsr.pt", "--scale", "3", *stated, "--name", "again")
    assert again.evaluation == row.evaluation
    assert "datasets.sample_x3_evaluation" in capsys.readouterr().out


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `add` says on stderr, one line; params.yaml stays as it is."""
    before = (folder / "params.yaml").read_bytes()
    assert main(["add", *arguments]) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: ") and text.count("\n") == 1
    assert (folder / "params.yaml").read_bytes() == before
    return text


def test_what_trying_does_not_settle_is_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(official_state(X2, 0), folder / "w.pt")
    text = refused(folder, capsys, "w.pt")
    assert (
        "w.pt: no tensor tells how it was trained" in text and "--res-scale, --img-range, --rgb-mean" in text
    )
    stated = ("--res-scale", "0.3", "--img-range", "100.5", "--rgb-mean", "0", "0.123456789", "0.5")
    _, row = added(folder, "w.pt", *stated)
    assert (row.res_scale, row.img_range, row.rgb_mean) == (0.3, 100.5, (0, 0.123457, 0.5))


@pytest.mark.parametrize(
    "flag",
    [("--res-scale", "0"), ("--img-range", "-1"), ("--img-range", "nan"), ("--rgb-mean", "114", "0", "0")],
)
def test_a_value_that_no_network_has_is_refused(
    flag: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"error: {flag[0]}: " in refused(folder, capsys, "w.pt", *flag)


def test_mdsr_needs_a_scale(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(official_mdsr_state(X2, 0), folder / "w.pt")
    assert "holds an MDSR with scales 2, 3, 4; say which with --scale" in refused(folder, capsys, "w.pt")


@pytest.mark.parametrize("name", ["edsr_x2_sample", "bundle", "size", "my-net", ""])
def test_a_name_that_cannot_be_a_row_is_refused(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(trained("range1_div2k", "basicsr"), folder / "edsr_x2_sample.pt")
    if name:
        assert f"--name: {name!r}" in refused(folder, capsys, "edsr_x2_sample.pt", "--name", name)
    else:
        assert "edsr_x2_sample_2" in added(folder, "edsr_x2_sample.pt")[0].models


def test_a_folder_without_images_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(trained("range1_div2k", "basicsr"), folder / "w.pt")
    assert "no such folder" in refused(folder, capsys, "w.pt", "--images", "none")


def test_another_network_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(
        {"conv_first.weight": torch.ones(4, 3, 3, 3), "body.0.rdb1.conv1.weight": torch.ones(4)}, "w.pt"
    )
    assert "it looks like RRDBNet (ESRGAN, Real-ESRGAN)" in refused(folder, capsys, "w.pt")
