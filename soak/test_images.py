"""One pixel of an image of each role: which stages run, by DVC itself on the tiny pipeline."""

import pytest
from project import Project, make_project

from edsr_int8.data.images import read_rgb, write_png

ROLES = {
    "evaluated": "a",
    "calibration": "b",
    "trained_on": "c",
    "validated_on": "d",
}  # data set -> photograph


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """After its first run. Each of the four photographs has one role for tiny_x2; tiny_x1 has its own."""
    made = make_project(tmp_path_factory.mktemp("images") / "one")
    tree = made.params
    row = tree["datasets"]["photos_x2"]
    tree["datasets"] |= {role: dict(row, path=f"photos_{role}", hr="*.png") for role in ROLES}
    for role, name in ROLES.items():
        image = read_rgb(made.folder / "photos" / f"{name}.png")
        write_png(made.folder / f"photos_{role}" / f"{name}.png", image)
    model = tree["models"]["tiny_x2"]
    model.update(evaluation=["evaluated"], calibration="calibration")
    network = {key: model[key] for key in
               ("source", "network", "features", "blocks", "scale", "res_scale", "upsampler")}  # fmt: skip
    tree["training"]["tiny"] = {
        **network, "datasets": ["trained_on"], "validation": ["validated_on"], "start": "data/weights/random",
        "steps": 2, "batch": 1, "patch": 8, "learning_rate": 1e-4, "validate_every": 2,
    }  # fmt: skip
    made.write_params(tree)
    made.repro()
    return made


def after_a_pixel(project: Project, role: str) -> set[str]:
    """The stages that run after one value of one pixel of the role's photograph has changed by 64.

    The first three always do: the third of them tells each row whether it reads the photograph.
    """
    [path] = (project.folder / f"photos_{role}").glob("*.png")
    image = read_rgb(path)
    image[9, 9, 1] ^= 64
    write_png(path, image)
    ran, restored = project.repro()
    assert not restored
    first = {"probe", f"dataset@{role}", "dataset_digests"}
    assert first <= ran
    return ran - first


def of(*kinds: str, precisions: tuple[str, ...] = ()) -> set[str]:
    """The stages of tiny_x2 of these kinds."""
    builds = [f"tiny_x2-{precision}" for precision in precisions] or ["tiny_x2"]
    return {f"{kind}@{build}{'-onnxruntime' * (kind == 'infer')}" for kind in kinds for build in builds}


BOTH, INT8 = ("fp32", "int8"), ("int8",)


def test_an_image_that_is_scored_runs_no_calibration(project: Project) -> None:
    expected = of("model_images", "coverage", "bundle") | {"report"}
    expected |= of("infer", "evaluate", precisions=BOTH)
    assert after_a_pixel(project, "evaluated") == expected


def test_an_image_that_is_calibrated_on_runs_no_float_build(project: Project) -> None:
    ran = after_a_pixel(project, "calibration")
    must = of(
        "model_images", "observe", "observed_digests", "gptq", "calibration_digests", "coverage", "bundle"
    )
    must |= of("quantize", precisions=INT8)
    builds = of("infer", "time", "evaluate", precisions=INT8) | {"report"}
    assert must <= ran <= must | builds  # the build may be the same


def test_an_image_that_is_trained_or_validated_on_runs_the_training(project: Project) -> None:
    for role in ("trained_on", "validated_on"):
        assert after_a_pixel(project, role) == {"training_images@tiny", "train@tiny"}, role
