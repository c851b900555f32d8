"""The vendor's accelerator. Its compiler takes a float graph and quantizes it, so this target runs bundles.

Where the vendor's tools are installed, the target compiles and runs a bundle here. Elsewhere somebody runs
it on the accelerator's machine and copies the outputs back, to <outputs>/<model>/*.npz; `outputs` is the
row's key.
"""

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from edsr_int8.checkpoints.facts import NetworkFacts
from edsr_int8.data.images import image_shape, read_rgb, write_png
from edsr_int8.files import temporary_folder
from edsr_int8.models.description import Description
from edsr_int8.progress import bar
from edsr_int8.targets.base import Capabilities, Runner, Unavailable
from edsr_int8.targets.execution.build import read_build
from edsr_int8.targets.execution.upscale import require
from edsr_int8.targets.figures import Placement
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.vacc.bundle.config import (
    CONFIG,
    OUTPUT_KEY,
    PREPROCESSING,
    AcceleratorModel,
    vamp_command,
)
from edsr_int8.targets.vacc.bundle.inputs import (
    AcceleratorInput,
    accelerator_inputs,
    output_files,
    read_output,
)
from edsr_int8.targets.vacc.bundle.npz import checksum, write_npz
from edsr_int8.targets.vacc.bundle.write import OUTPUTS, absolute_list, write_bundle

CAPABILITIES = Capabilities(
    dtypes=("int8",),
    dynamic_shape=False,
    overhead_bytes=0,
    weight_factor=0,
    activation_factor=0,
    why_not={"float16": "PixelShuffle crashes the accelerator in fp16"},  # as the vendor reports
)
DEVICE = 0


@dataclass(frozen=True)
class AcceleratorJob:
    """What it takes to run one model there, and the build whose rows of the table the images fill."""

    model: AcceleratorModel
    network: Description
    build: Path
    float_model: Path
    calibration: Path
    inputs: Sequence[AcceleratorInput]


def accelerator_job(
    name: str, facts: NetworkFacts, build: Path, float_model: Path, images: Path, datasets: Sequence[str]
) -> AcceleratorJob | None:
    """The job of the model `name` with its images in `images`; None where none has the fixed shape."""
    inputs = accelerator_inputs(images, datasets)
    if not inputs:
        return None
    model = AcceleratorModel(name, facts.source, facts.scale, image_shape(inputs[0].path))
    return AcceleratorJob(model, facts, build, float_model, images / "calibration", inputs)


@dataclass(frozen=True)
class Vacc:
    row: TargetRow
    capabilities = CAPABILITIES

    def probe(self) -> dict[str, Any]:
        """With a checksum of every output that was copied back, so that new ones are scored again."""
        folder = Path(self.row.outputs)
        files = sorted(folder.rglob("*.npz")) if self.row.outputs else []
        return {
            "runtime": "vacc",
            "version": _version(),
            "available": not (why_not := self._missing()),
            "why_not": why_not,
            "outputs": {path.relative_to(folder).as_posix(): checksum(path) for path in files},
        }

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        raise Unavailable("vacc compiles bundles, not single builds; vamp prints the accelerator's speed")

    def placement(self, model: Path, *, height: int, width: int) -> Placement:
        """Unknown: the vendor's compiler quantizes by itself and does not tell."""
        return Placement()

    def run(self, job: AcceleratorJob | None, folder: Path) -> None:
        """Write folder/<name of each input>.png.

        Unavailable: why it cannot run. InputError: the outputs in the row's folder are not of this job.
        """
        if job is None:
            raise Unavailable(
                "vacc runs one fixed shape; set the model row's shape and add card to its protocols"
            )
        require(self, read_build(job.build).dtype)
        if why_not := self._missing():
            raise Unavailable(why_not)
        if self.row.outputs:
            read_outputs(Path(self.row.outputs) / job.model.name, job, folder)
            return
        if fails_on_accelerator(job.network):
            raise Unavailable("this network compiles, then times out or runs out of memory there")
        with temporary_folder() as temporary:
            compile_and_run(job, temporary / job.model.name)
            read_outputs(temporary / job.model.name / OUTPUTS, job, folder)

    def _missing(self) -> str:
        if self.row.outputs:
            return "" if Path(self.row.outputs).is_dir() else f"{self.row.outputs}: no such folder"
        if shutil.which("vamc") and (shutil.which("vamp") or importlib.util.find_spec("vaststreamx")):
            return ""
        return (
            "vamc and vamp are not installed; run build/bundle/<model> on the accelerator's machine, "
            "copy its outputs back and set outputs to their folder"
        )


def fails_on_accelerator(network: Description) -> bool:
    """As the vendor reports: EDSR_x3, EDSR_x4 and EDSR_baseline_x3 fail, EDSR_baseline_x4 does not."""
    large = network.features >= 256
    return network.upsampler == "pixelshuffle" and (network.scale == 3 or (network.scale == 4 and large))


def compile_and_run(job: AcceleratorJob, bundle: Path) -> None:
    """Write the bundle, compile it, and run it with vamp, or with vaststreamx where vamp is not installed."""
    write_bundle(job.model, job.float_model, job.calibration, job.inputs, bundle)
    call(["vamc", "compile", CONFIG], bundle)
    (bundle / OUTPUTS).mkdir()
    if shutil.which("vamp"):
        call(vamp_command(job.model, datalist=absolute_list(bundle).name, outputs=OUTPUTS), bundle)
    else:
        run_vaststreamx(job, bundle)


def run_vaststreamx(job: AcceleratorJob, bundle: Path) -> None:
    """Run the compiled bundle with the vendor's Python runtime."""
    import vaststreamx as vsx

    vsx.set_device(DEVICE)
    operator = vsx.ModelOperator(vsx.Model(str(bundle / "deploy_weights" / job.model.deployed / "mod"), 1))
    graph = vsx.Graph()
    graph.add_operators(vsx.Operator.load_ops_from_json_file(str(bundle / PREPROCESSING))[0], operator)
    stream = vsx.Stream(graph, vsx.StreamBalanceMode.ONCE)
    stream.register_operator_output(operator)
    stream.build()
    height, width = job.model.shape
    for i, source in enumerate(bar(job.inputs, "vacc", unit="image")):
        planes = np.ascontiguousarray(read_rgb(source.path).transpose(2, 0, 1))
        image = vsx.create_image(planes, vsx.ImageFormat.RGB_PLANAR, width, height, DEVICE)
        [[output]] = stream.run_sync([image])
        write_npz(bundle / OUTPUTS / f"output_{i:06d}.npz", OUTPUT_KEY, vsx.as_numpy(output))


def read_outputs(source: Path, job: AcceleratorJob, folder: Path) -> None:
    """Write the .npz outputs in `source` as folder/<name of each input>.png."""
    if not source.is_dir():
        raise Unavailable(f"{source}: no such folder; copy the outputs of {job.model.name} there")
    for given, path in zip(job.inputs, output_files(source, job.inputs), strict=True):
        write_png(folder / f"{given.name}.png", read_output(path, job.model))


def call(command: list[str], folder: Path) -> None:
    """Run one of the vendor's tools. Unavailable, with the last line of its output, where it fails."""
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise Unavailable(f"{command[0]} does not start: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise Unavailable(f"{command[0]} stopped with exit status {done.returncode}: {said[-1][:200]}")


def _version() -> str:
    try:
        return version("vaststreamx")
    except PackageNotFoundError:
        return ""


def open_target(row: TargetRow) -> Vacc:
    return Vacc(row)
