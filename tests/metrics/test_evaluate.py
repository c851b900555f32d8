import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.threads import Threads
from edsr_int8.data.degrade import bicubic
from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.errors import InputError
from edsr_int8.metrics import evaluate as subject
from edsr_int8.metrics.evaluate import Folders, merge, score_pair
from edsr_int8.metrics.protocols import PROTOCOLS
from edsr_int8.metrics.scores import Score

RGB = (PROTOCOLS["official"], PROTOCOLS["basicsr"])
ALL = (*RGB, PROTOCOLS["benchmark_y"])
NAMES = ("one", "night/000001", "night/000002", "day/000001")


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Four x2 pairs, two of a sequence; the output is the reference with noise, fp32 with less of it."""
    found = Folders(*(tmp_path / name for name in ("lr", "hr", "outputs", "fp32")))
    noise = np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        hr = data.astronaut()[40 * number : 40 * number + 48, 100:160]
        write_png(found.hr / f"{name}.png", hr)
        write_png(found.lr / f"{name}.png", bicubic.reduce(hr, 2))
        for folder, spread in ((found.outputs, 8), (found.fp32, 3)):
            noisy = np.clip(hr + noise.normal(0, spread, hr.shape), 0, 255).astype(np.uint8)
            write_png(folder / f"{name}.png", noisy)
    return found


def evaluate(folders: Folders, **wanted: Any) -> dict[str, Score]:
    """With nothing kept of earlier calls."""
    with tempfile.TemporaryDirectory() as partial:
        return subject.evaluate(folders, partial=Path(partial), **wanted)


def test_scores_equal_scikit_image_on_the_shaved_images(folders):
    scores = evaluate(folders, protocols=RGB, scale=2)["official"]
    hr, output, fp32 = (
        read_rgb(folder / "one.png")[8:-8, 8:-8] for folder in (folders.hr, folders.outputs, folders.fp32)
    )
    enlarged = bicubic.enlarge(read_rgb(folders.lr / "one.png"), 2)[8:-8, 8:-8]
    one = next(score for score in scores.per_image if score.name == "one")
    psnr = partial(peak_signal_noise_ratio, data_range=255)
    assert one.psnr_db == pytest.approx(psnr(hr, output))
    assert one.input_psnr_db == pytest.approx(psnr(hr, enlarged))
    assert one.fidelity_db == pytest.approx(psnr(fp32, output))


def test_figures_are_means_over_images_and_over_those_of_a_sequence(folders):
    scores = evaluate(folders, protocols=ALL, scale=2)["benchmark_y"]
    assert [score.name for score in scores.per_image] == sorted(NAMES)
    by_name = {score.name: score for score in scores.per_image}
    assert scores.images == 4
    assert scores.ssim == fmean(score.ssim for score in by_name.values())
    night = fmean(by_name[name].psnr_db for name in NAMES[1:3])
    assert scores.per_sequence["night"].psnr_db == night
    assert {name: found.images for name, found in scores.per_sequence.items()} == {"night": 2, "day": 1}


def test_the_deblurring_input_is_scored_as_it_is(folders):
    blurred = Folders(lr=folders.fp32, hr=folders.hr, outputs=folders.outputs)
    as_output = Folders(lr=folders.fp32, hr=folders.hr, outputs=folders.fp32)
    scores = evaluate(blurred, protocols=RGB, scale=1)["basicsr"]
    assert scores.input_psnr_db == evaluate(as_output, protocols=RGB, scale=1)["basicsr"].psnr_db
    assert scores.fidelity_db is None


def test_any_executor_and_any_order_of_parts_gives_the_same(folders):
    alone = evaluate(folders, protocols=ALL, scale=2)
    assert evaluate(folders, protocols=ALL, scale=2, executor=Threads(3)) == alone
    parts = list(alone["basicsr"].per_image)
    random.Random(3).shuffle(parts)
    assert merge(parts) == alone["basicsr"]


class Killed(InProcess):
    """Ends after three images."""

    def map(self, *given: Any, **named: Any) -> Iterator[Any]:
        yield from islice(super().map(*given, **named), 3)
        raise KeyboardInterrupt


def test_a_killed_run_goes_on_at_the_image_where_it_was(folders, tmp_path, monkeypatch):
    scored: Counter[str] = Counter()
    score = subject.score_image
    monkeypatch.setattr(
        subject, "score_image", lambda image, *rest: (scored.update([image.name]), score(image, *rest))[1]
    )
    wanted = {"protocols": RGB, "scale": 2, "partial": tmp_path / "partial"}
    with pytest.raises(KeyboardInterrupt):
        subject.evaluate(folders, executor=Killed(), **wanted)
    first = scored.copy()
    found = subject.evaluate(folders, **wanted)
    again = scored - first
    assert sum(again.values()) == 1 and set(scored) == set(NAMES)
    assert found == evaluate(folders, protocols=RGB, scale=2)


def test_every_file_is_decoded_once_for_all_protocols(folders, monkeypatch):
    reads: Counter[Path] = Counter()
    monkeypatch.setattr(
        subject, "read_rgb", lambda path, data: reads.update([path]) or read_rgb(path, data=data)
    )
    evaluate(folders, protocols=ALL, scale=2)
    assert len(reads) == 16 and set(reads.values()) == {1}


@pytest.mark.parametrize("folder", ["lr", "outputs", "fp32"])
def test_a_missing_partner_is_named(folders, folder):
    path = getattr(folders, folder) / "night/000001.png"
    path.unlink()
    with pytest.raises(InputError, match=f"^{path}: missing"):
        evaluate(folders, protocols=ALL, scale=2)


@pytest.mark.parametrize("folder", ["lr", "outputs", "fp32"])
def test_a_partner_of_another_size_is_named_with_both_sizes(folders, folder):
    path = getattr(folders, folder) / "one.png"
    write_png(path, np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match=rf"^{path}: 30x20 .*60x48"):
        evaluate(folders, protocols=ALL, scale=2)


def test_an_image_too_small_for_a_protocol_is_named_with_the_protocol(folders):
    for folder, side in ((folders.hr, 26), (folders.outputs, 26), (folders.fp32, 26), (folders.lr, 13)):
        write_png(folder / "one.png", np.zeros((side, side, 3), np.uint8))
    with pytest.raises(InputError, match=rf"^{folders.hr / 'one.png'}: 26x26 .*official"):
        evaluate(folders, protocols=ALL, scale=2)
    assert evaluate(folders, protocols=ALL[1:], scale=2)["basicsr"].images == 4


def test_a_folder_without_references_is_named(folders, tmp_path):
    with pytest.raises(InputError, match=f"^{tmp_path / 'empty'}: "):
        evaluate(Folders(folders.lr, tmp_path / "empty", folders.outputs), protocols=ALL, scale=2)


def test_a_float_output_scores_as_its_rounding_but_not_under_the_card(folders):
    hr = read_rgb(folders.hr / "one.png")
    output = hr + np.random.default_rng(1).normal(0, 6, hr.shape)
    whole = np.rint(output.clip(0, 255)).astype(np.uint8)
    for protocol in ALL:
        assert score_pair(output, hr, protocol, 2) == score_pair(whole, hr, protocol, 2)
    assert score_pair(output, hr, PROTOCOLS["card"], 2) != score_pair(whole, hr, PROTOCOLS["card"], 2)
