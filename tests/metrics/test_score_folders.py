"""Images as other programs leave them: against published figures, scikit-image, and edits of known effect."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from edsr_int8.data.degrade.bicubic import enlarge, reduce
from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.errors import InputError
from edsr_int8.metrics.score_folders import A_FEW, score_folders

NAMES = ("baby", "night/bird")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two references of 64x80 and what bicubic enlargement makes of them."""
    for number, name in enumerate(NAMES):
        reference = data.astronaut()[60 * number : 60 * number + 64, 180:260]
        write_png(tmp_path / "references" / f"{name}.png", reference)
        write_png(tmp_path / "outputs" / f"{name}.png", enlarge(reduce(reference, 2), 2))
    return tmp_path / "outputs", tmp_path / "references"


def pairs(folders: tuple[Path, Path]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [tuple(read_rgb(folder / f"{name}.png") for folder in folders) for name in NAMES]


def rename(folder: Path, ending: str) -> None:
    for path in list(folder.rglob("*.png")):
        path.rename(path.with_name(f"{path.stem}{ending}"))


def test_psnr_is_scikit_images_inside_each_border(folders: tuple[Path, Path]) -> None:
    scores = score_folders(*folders, scale=2)
    assert scores.images == 2 and not scores.notes and scores.jpeg_psnr_db is None
    for name, border in (("official", 8), ("basicsr", 2), ("card", 0)):
        inside = slice(border, -border or None)
        expected = np.mean(
            [peak_signal_noise_ratio(b[inside, inside], a[inside, inside]) for a, b in pairs(folders)]
        )
        assert scores.protocols[name].psnr_db == pytest.approx(expected)
        assert scores.protocols[name].border == border


def test_pooling_takes_one_error_over_all_pixels(folders: tuple[Path, Path]) -> None:
    both = [np.concatenate([x[2:-2, 2:-2] for x in side]) for side in zip(*pairs(folders), strict=True)]
    expected = peak_signal_noise_ratio(both[1], both[0])
    assert score_folders(*folders, scale=2).pooled_psnr_db == pytest.approx(expected)


def test_bicubic_on_set5_has_the_papers_figure(shared: Path, tmp_path: Path) -> None:
    """33.66 dB in Y at x2 (Dong et al., SRCNN, and papers since), with Y rounded as MATLAB does."""
    references = shared / "data/Set5/HR"
    for path in sorted(references.iterdir()):
        whole = read_rgb(path)
        height, width = (length // 2 * 2 for length in whole.shape[:2])
        hr = whole[:height, :width]
        write_png(tmp_path / f"{path.stem}.png", enlarge(reduce(hr, 2), 2))
    scores = score_folders(tmp_path, references, scale=2)
    assert scores.rounded_luma_psnr_db == pytest.approx(33.66, abs=0.03)


@pytest.mark.parametrize("ending", ["_x2_SR.png", "x2.png", "_EDSR_Mx2_f64b16.png", "_out.png"])
def test_names_with_an_ending_of_their_own_are_matched(folders: tuple[Path, Path], ending: str) -> None:
    expected = score_folders(*folders, scale=2)
    rename(folders[0], ending)
    assert score_folders(*folders, scale=2) == expected


def test_an_output_without_a_reference_is_named(folders: tuple[Path, Path]) -> None:
    stray = folders[0] / "stray.png"
    write_png(stray, np.zeros((64, 80, 3), np.uint8))
    with pytest.raises(InputError, match=f"^{stray}: has no reference of its name .* 1 of 3 outputs"):
        score_folders(*folders, scale=2)


def test_a_reference_without_an_output_is_left_out(folders: tuple[Path, Path]) -> None:
    (folders[0] / "baby.png").unlink()
    assert score_folders(*folders, scale=2).images == 1


def test_sizes_off_by_a_few_pixels_are_cropped_with_a_word(folders: tuple[Path, Path]) -> None:
    expected = score_folders(*folders, scale=2)
    path = folders[1] / "baby.png"
    image = read_rgb(path)
    write_png(path, np.pad(image, ((0, 1), (0, 3), (0, 0))))
    scores = score_folders(*folders, scale=2)
    assert scores.protocols == expected.protocols
    assert scores.notes == [
        f"{folders[0] / 'baby.png'}: 80x64, its reference 83x65; both cropped from the top left to 80x64"
    ]
    write_png(path, np.pad(image, ((0, 0), (0, A_FEW + 1), (0, 0))))
    with pytest.raises(InputError, match="80x64, its reference 113x64; are these outputs of another scale"):
        score_folders(*folders, scale=2)


def test_jpeg_outputs_are_held_to_what_jpeg_alone_loses(folders: tuple[Path, Path]) -> None:
    """Against the round trip of the references at the quality that the outputs were written with."""
    expected = []
    for path in sorted(folders[0].rglob("*.png")):
        PIL.Image.open(path).save(path.with_suffix(".jpg"), quality=80)
        path.unlink()
        reference = read_rgb(folders[1] / path.relative_to(folders[0]))
        PIL.Image.fromarray(reference).save(file := io.BytesIO(), "JPEG", quality=80)
        again = np.asarray(PIL.Image.open(file).convert("RGB"))
        expected.append(peak_signal_noise_ratio(reference[2:-2, 2:-2], again[2:-2, 2:-2]))
    assert score_folders(*folders, scale=2).jpeg_psnr_db == pytest.approx(np.mean(expected), abs=1e-9)


@pytest.mark.parametrize("missing", [0, 1])
def test_folders_without_images_are_named(folders: tuple[Path, Path], tmp_path: Path, missing: int) -> None:
    given = list(folders)
    given[missing] = tmp_path / "none"
    with pytest.raises(InputError, match=f"^{tmp_path / 'none'}: no such folder"):
        score_folders(*given, scale=2)
    given[missing].mkdir()
    with pytest.raises(InputError, match=f"^{tmp_path / 'none'}: holds no image"):
        score_folders(*given, scale=2)


def test_images_too_small_for_a_protocol_are_named(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        write_png(folder / "baby.png", np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(InputError, match=f"^{folders[1] / 'baby.png'}: 20x20 pixels is too small"):
        score_folders(*folders, scale=2)
