"""What a user gets wrong ends a stage in one line with the way out, and leaves nothing behind."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from foreign_checkpoints import official_state
from in_process import refusal
from project import TINY_X2, Project, make_project

from edsr_int8.models.description import Description


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("wrong") / "input")


@pytest.fixture
def project(untouched: Project) -> Iterator[Project]:
    """As it was committed, before and after each test."""
    yield untouched
    untouched.run("git", "checkout", "--quiet", ".")
    untouched.run("git", "clean", "--quiet", "--force", "-d", "-x")


def says(text: str, *words: str) -> None:
    for word in words:
        assert word in text


def test_a_typo_in_a_key(project: Project) -> None:
    project.set("precisions.int8.percentle", 99.9)
    text = project.run("python", "-m", "stages.probe", fails=True)
    says(text, "error: params.yaml", "precisions.int8.percentle", "percentile")
    assert text.count("\n") == 1


def test_a_provider_that_is_not_there(project: Project) -> None:
    project.set("targets.onnxruntime.provider", "NoSuchExecutionProvider")
    says(refusal(project, "probe"), "targets.onnxruntime", "NoSuchExecutionProvider", "CPUExecutionProvider")


def test_a_row_that_is_not_there(project: Project) -> None:
    says(refusal(project, "convert", "tiny_x3"), "models", "tiny_x3", "tiny_x2")


def test_missing_weights(project: Project) -> None:
    project.set("models.tiny_x2.weights", "weights/lost.pt")
    says(refusal(project, "convert", "tiny_x2"), "models.tiny_x2", "weights/lost.pt")
    assert not (project.folder / "build" / "tiny_x2").exists()


def test_weights_of_another_shape(project: Project) -> None:
    wider = Description("edsr", 16, 2, 2, 1.0, "pixelshuffle")
    torch.save(official_state(wider, seed=1), project.folder / "weights" / "x2.pt")
    says(refusal(project, "convert", "tiny_x2"), "weights/x2.pt", "head.0.weight", "16x3x3x3", "features: 16")


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04 cut short"])
def test_a_checkpoint_that_is_none(project: Project, content: bytes) -> None:
    (project.folder / "weights" / "x2.pt").write_bytes(content)
    says(refusal(project, "convert", "tiny_x2"), "models.tiny_x2", "weights/x2.pt")


def test_weights_that_are_no_numbers(project: Project) -> None:
    state = official_state(TINY_X2, seed=1)
    state["body.0.body.0.weight"][0, 0, 0, 0] = float("nan")
    torch.save(state, project.folder / "weights" / "x2.pt")
    says(refusal(project, "convert", "tiny_x2"), "weights/x2.pt", "body.0.body.0.weight")


def test_a_folder_that_is_not_there(project: Project) -> None:
    project.set("datasets.photos_x2.path", "pictures")
    says(refusal(project, "dataset", "photos_x2"), "datasets.photos_x2", "pictures")


def test_a_pattern_that_finds_nothing(project: Project) -> None:
    project.set("datasets.photos_x2.hr", "*.tiff")
    says(refusal(project, "dataset", "photos_x2"), "datasets.photos_x2", "*.tiff")


def test_an_image_that_does_not_decode(project: Project) -> None:
    whole = (project.folder / "photos" / "a.png").read_bytes()
    (project.folder / "photos" / "a.png").write_bytes(whole[: len(whole) // 2])
    says(refusal(project, "dataset", "photos_x2"), "datasets.photos_x2", "photos/a.png")
    assert not (project.folder / "build" / "datasets" / "photos_x2").exists()


def test_a_16_bit_image(project: Project) -> None:
    cv2.imwrite(str(project.folder / "photos" / "a.png"), np.zeros((40, 48, 3), np.uint16))
    says(refusal(project, "dataset", "photos_x2"), "photos/a.png", "8-bit RGB PNG")


def test_a_transparent_image(project: Project) -> None:
    cv2.imwrite(str(project.folder / "photos" / "a.png"), np.full((40, 48, 4), 128, np.uint8))
    says(refusal(project, "dataset", "photos_x2"), "photos/a.png", "transparent")


def test_a_greyscale_image_is_taken_as_three_equal_channels(project: Project) -> None:
    cv2.imwrite(str(project.folder / "photos" / "a.png"), np.full((40, 48), 77, np.uint8))
    project.run("python", "-m", "stages.dataset", "photos_x2")
    made = cv2.imread(
        str(project.folder / "build" / "datasets" / "photos_x2" / "hr" / "a.png"), cv2.IMREAD_UNCHANGED
    )
    assert made.shape == (40, 48, 3) and (made == 77).all()


def test_lr_and_hr_that_do_not_match(project: Project) -> None:
    folder = project.folder / "photos" / "lr"
    folder.mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(folder / f"{name}.png"), np.zeros((30, 24, 3), np.uint8))
    project.set("datasets.photos_x2.lr", "lr/*.png")
    says(refusal(project, "dataset", "photos_x2"), "datasets.photos_x2", "a (hr 48x40, lr 24x30)", "2 times")


def test_a_partner_that_is_missing(project: Project) -> None:
    folder = project.folder / "photos" / "lr"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.zeros((20, 24, 3), np.uint8))
    project.set("datasets.photos_x2.lr", "lr/*.png")
    says(refusal(project, "dataset", "photos_x2"), "datasets.photos_x2", "without a partner", "b.png")


def test_check_says_it_before_anything_runs(project: Project) -> None:
    project.set("models.tiny_x2.weights", "../weights/x2.pt")
    text = project.run("python", "-m", "edsr_int8", "check", fails=True)
    says(text, "error: params.yaml: models.tiny_x2.weights", "../weights/x2.pt is not there", "absolute path")


def test_check_names_outputs_of_the_accelerator_that_are_not_there(project: Project) -> None:
    row = {"runtime": "vacc", "outputs": "from_the_accelerator"}
    project.set("targets.vacc", row)
    text = project.run("python", "-m", "edsr_int8", "check")
    says(text, "warning: params.yaml: targets.vacc.outputs: from_the_accelerator is not there yet")
