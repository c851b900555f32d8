"""The vendor's card. Its compiler takes a float graph and quantizes by itself, so the target runs bundles.

With the vendor's tools on this machine a bundle is compiled and run here. Without them it is run where
the card is, and `outputs` names the folder that its outputs were copied to: <outputs>/<model>/*.npz.
"""

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from edsr_int8.checkpoints.facts import NetworkFacts
from edsr_int8.data.images import image_shape, read_rgb, write_png
from edsr_int8.models.description import Description
from edsr_int8.progress import bar
from edsr_int8.targets.base import Capabilities, Runner, Unavailable
from edsr_int8.targets.execution.build import read_build
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.vacc.bundle.config import CONFIG, OUTPUT_KEY, PREPROCESSING, CardModel, vamp_command
from edsr_int8.targets.vacc.bundle.inputs import CardInput, card_inputs, output_files, read_output
from edsr_int8.targets.vacc.bundle.npz import checksum, write_npz
from edsr_int8.targets.vacc.bundle.write import OUTPUTS, absolute_list, write_bundle

CAPABILITIES = Capabilities(
    dtypes=("int8",),  # fp16 graphs with PixelShuffle crash the card
    dynamic_shape=False,
    overhead_bytes=0,
    weight_factor=0,
    activation_factor=0,
)
DEVICE = 0


@dataclass(frozen=True)
class CardJob:
    """All that the card needs to run one model, and the build whose place in the table its images take."""

    card: CardModel
    network: Description
    build: Path
    float_model: Path
    calibration: Path
    inputs: Sequence[CardInput]


def card_job(
    model: str, facts: NetworkFacts, build: Path, float_model: Path, images: Path, datasets: Sequence[str]
) -> CardJob | None:
    """The job of a model whose pictures lie in `images`; None where it has none at the card's fixed shape."""
    inputs = card_inputs(images, datasets)
    if not inputs:
        return None
    card = CardModel(model, facts.source, facts.scale, image_shape(inputs[0].path))
    return CardJob(card, facts, build, float_model, images / "calibration", inputs)


@dataclass(frozen=True)
class Vacc:
    row: TargetRow
    capabilities = CAPABILITIES

    def probe(self) -> dict[str, Any]:
        """With the content of every output that was copied back: new ones make the images look changed."""
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
        raise Unavailable("vacc compiles bundles, not single builds; vamp itself prints the card's speed")

    def run(self, job: CardJob | None, folder: Path) -> None:
        """Write folder/<name of each input>.png. Unavailable: why not; InputError: outputs of another run."""
        if job is None:
            raise Unavailable(
                "vacc runs one fixed shape; set the model row's shape and add card to its protocols"
            )
        if (dtype := read_build(job.build).dtype) not in self.capabilities.dtypes:
            raise Unavailable(f"vacc runs int8 builds, not {dtype}")
        if why_not := self._missing():
            raise Unavailable(why_not)
        if self.row.outputs:
            read_outputs(Path(self.row.outputs) / job.card.name, job, folder)
            return
        if fails_on_card(job.network):
            raise Unavailable("this network compiles for the card, then times out or runs out of its memory")
        with tempfile.TemporaryDirectory() as temporary:
            compile_and_run(job, Path(temporary) / job.card.name)
            read_outputs(Path(temporary) / job.card.name / OUTPUTS, job, folder)

    def _missing(self) -> str:
        if self.row.outputs:
            return "" if Path(self.row.outputs).is_dir() else f"{self.row.outputs}: no such folder"
        if shutil.which("vamc") and (shutil.which("vamp") or importlib.util.find_spec("vaststreamx")):
            return ""
        return (
            "vamc and vamp are not installed; run build/bundle/<model> where the card is, "
            "and name the folder of its outputs as outputs"
        )


def fails_on_card(network: Description) -> bool:
    """Measured by the vendor: EDSR_x3, EDSR_x4 and EDSR_baseline_x3 do, EDSR_baseline_x4 does not."""
    large = network.features >= 256
    return network.upsampler == "pixelshuffle" and (network.scale == 3 or (network.scale == 4 and large))


def compile_and_run(job: CardJob, bundle: Path) -> None:
    """Write the bundle, compile it, and run it by whichever of the vendor's two ways is here."""
    write_bundle(job.card, job.float_model, job.calibration, job.inputs, bundle)
    call(["vamc", "compile", CONFIG], bundle)
    (bundle / OUTPUTS).mkdir()
    if shutil.which("vamp"):
        call(vamp_command(job.card, datalist=absolute_list(bundle).name, outputs=OUTPUTS), bundle)
    else:
        run_vaststreamx(job, bundle)


def run_vaststreamx(job: CardJob, bundle: Path) -> None:
    """Run the compiled bundle by the vendor's Python runtime."""
    import vaststreamx as vsx

    vsx.set_device(DEVICE)
    model = vsx.ModelOperator(vsx.Model(str(bundle / "deploy_weights" / job.card.deployed / "mod"), 1))
    graph = vsx.Graph()
    graph.add_operators(vsx.Operator.load_ops_from_json_file(str(bundle / PREPROCESSING))[0], model)
    stream = vsx.Stream(graph, vsx.StreamBalanceMode.ONCE)
    stream.register_operator_output(model)
    stream.build()
    height, width = job.card.shape
    for i, source in enumerate(bar(job.inputs, "vacc", unit="image")):
        planes = np.ascontiguousarray(read_rgb(source.path).transpose(2, 0, 1))
        image = vsx.create_image(planes, vsx.ImageFormat.RGB_PLANAR, width, height, DEVICE)
        [[output]] = stream.run_sync([image])
        write_npz(bundle / OUTPUTS / f"output_{i:06d}.npz", OUTPUT_KEY, vsx.as_numpy(output))


def read_outputs(source: Path, job: CardJob, folder: Path) -> None:
    """The .npz outputs in `source` as folder/<name of each input>.png."""
    if not source.is_dir():
        raise Unavailable(f"{source}: no such folder; copy the outputs of {job.card.name} there")
    for given, path in zip(job.inputs, output_files(source, job.inputs), strict=True):
        write_png(folder / f"{given.name}.png", read_output(path, job.card))


def call(command: list[str], folder: Path) -> None:
    """Run one of the vendor's tools. Unavailable with the last line that it says where it fails."""
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise Unavailable(f"{command[0]} does not start: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
        raise Unavailable(f"{command[0]} stopped with exit status {done.returncode}: {said[-1][:200]}")


def _version() -> str:
    try:
        return version("vaststreamx")
    except PackageNotFoundError:
        return ""


def open_target(row: TargetRow) -> Vacc:
    return Vacc(row)
