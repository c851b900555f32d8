"""What a GPU gives: finetuning in seconds, a 43-million-parameter network in memory, training steps a second.

Offline, in minutes on one GPU, from a copy of the repository and a folder of photographs; no DVC. Weights
are random where --shared does not have the real ones: the same arithmetic, another picture.

    python benchmarks/gpu.py --photographs FOLDER [--shared FOLDER] [--only training ...]
    python benchmarks/gpu.py --photographs FOLDER --device cpu --tiny    # only whether it runs
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from networks import SHARED, WEIGHTS, float_model

from edsr_int8.checkpoints.facts import NetworkFacts
from edsr_int8.data.degrade.bicubic import reduce
from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.export import float_graph
from edsr_int8.models.build import build
from edsr_int8.models.complexity import macs_per_pixel, parameters
from edsr_int8.models.description import Description
from edsr_int8.models.edsr import receptive_radius
from edsr_int8.onnx_file import write_onnx
from edsr_int8.pipeline.torch_device import repeat_on_cuda
from edsr_int8.quantization.augmentation import augmentation
from edsr_int8.quantization.ir.layers import Conv
from edsr_int8.quantization.passes import Calibration, passes, run, with_last_point
from edsr_int8.quantization.recipe import Carriers, Finetune, Recipe, Statistics
from edsr_int8.quantization.state import QuantizedNetwork
from edsr_int8.training.learner import Learner
from edsr_int8.training.loop import batches
from edsr_int8.training.pixels import decode
from edsr_int8.training.schedule import Training

# presets/quality.yaml, row int8_tuned, with fewer steps
TUNED = Recipe(
    "int8", "percentile", 99.999, channel_transform=True, fold_long_skip=True, fold_head=True,
    collapse_tail=True, carriers=Carriers(trunk=2, tail=2), cover_colours=True, gptq=True,
    statistics=Statistics(crops=2048), finetune=Finetune(steps=600, batch=8),
)  # fmt: skip
R8F64X2 = Description("edsr", 64, 8, 2, 1.0, "pixelshuffle")
LARGE = Description("edsr", 256, 32, 2, 0.1, "pixelshuffle")  # EDSR_x2 of the card
BASELINE = Training(
    source="official", network="edsr", features=64, blocks=16, scale=2, res_scale=1.0,
    upsampler="pixelshuffle", datasets=(), validation=(), start="", steps=300_000, batch=16, patch=48,
    learning_rate=1e-4, precision="bfloat16",
)  # fmt: skip
SECTIONS = ("training", "finetune", "large")
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png")


@dataclass(frozen=True)
class Budget:
    """How much of everything is run."""

    network: Description
    large: Description
    recipe: Recipe  # of `network` ...
    large_recipe: Recipe  # ... and of `large`
    training: Training
    training_steps: int
    photographs: int = 100  # calibration images of `network`: photographs halved
    details: int = 16  # calibration images of `large`, 48x48: its ranges are counted on the CPU


FULL = Budget(
    R8F64X2,
    LARGE,
    TUNED,
    replace(TUNED, statistics=Statistics(crops=512), finetune=Finetune(steps=200, batch=8)),
    BASELINE,
    training_steps=500,
)
FEW = replace(TUNED, statistics=Statistics(crops=8, patch=8), finetune=Finetune(steps=2, batch=2))
TINY = Budget(
    replace(R8F64X2, features=4, blocks=1),
    replace(LARGE, features=6, blocks=1),
    FEW,
    FEW,
    training=replace(BASELINE, features=4, blocks=1, batch=2, patch=8),
    training_steps=2,
    photographs=2,
    details=2,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True, help="folder of JPEG or PNG files")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with weights/")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--tiny", action="store_true", help="seconds on a CPU: networks of a few channels")
    given = parser.parse_args()
    budget = TINY if given.tiny else FULL
    if given.device == "cuda":
        repeat_on_cuda()
        name = torch.cuda.get_device_name()
    else:
        name = f"CPU, {torch.get_num_threads()} threads"
    print(f"{name}, torch {torch.__version__}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        halves = halved(given.photographs, budget.photographs, folder)
        if "training" in given.only:
            benchmark_training(budget, folder, given.device)
        if "finetune" in given.only:
            graph = small_graph(budget, given.shared, folder)
            benchmark_finetuning(budget, graph, halves, folder, given.device)
        if "large" in given.only:
            benchmark_large(budget, halves, folder, given.device)


def halved(photographs: Path, most: int, folder: Path) -> list[Path]:
    """Pairs folder/pairs/{hr,lr}/*.png of the photographs; returns the files of lr."""
    files = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in SUFFIXES)[:most]
    if not files:
        raise SystemExit(f"{photographs}: has no {', '.join(SUFFIXES)}")
    for path in files:
        image = read_rgb(path)
        high = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        write_png(folder / "pairs" / "hr" / f"{path.stem}.png", np.ascontiguousarray(high))
        write_png(folder / "pairs" / "lr" / f"{path.stem}.png", reduce(high, 2))
    return sorted((folder / "pairs" / "lr").iterdir())


def benchmark_training(budget: Budget, folder: Path, device: str) -> None:
    t = budget.training
    print(
        f"\ntraining: f{t.features} b{t.blocks} x{t.scale}, batch {t.batch}, patch {t.patch}, {t.precision}"
    )
    pixels = decode([folder / "pairs"], scales=[t.scale], store=folder / "store")
    ends = []
    for _ in range(2):
        learner, coming = Learner(t, device=device), batches(pixels, t, 0)
        learner.learn(*next(coming))  # the first one loads libraries and records the graph
        synchronize(device)
        start = time.perf_counter()
        for low, high in islice(coming, budget.training_steps):
            learner.learn(low, high)
        synchronize(device)
        rate = budget.training_steps / (time.perf_counter() - start)
        ends.append(digest(tensor.detach().cpu().numpy() for tensor in learner.module.parameters()))
        print(f"  {rate:8.1f} steps a second", flush=True)
    print(f"  two runs end in {'equal' if ends[0] == ends[1] else 'UNEQUAL'} weights")


def small_graph(budget: Budget, shared: Path, folder: Path) -> Path:
    """The float graph of r8f64x2 with its real weights, where they are at hand; else with random ones."""
    weights = shared / "weights" / WEIGHTS["r8f64x2"]
    if budget.network != R8F64X2 or not weights.exists():
        print(f"\n{title(budget.network)}: random weights, as {weights} is missing or of another network")
        return random_graph(budget.network, folder / "small")
    return float_model("r8f64x2", folder / "small", shared)


def random_graph(description: Description, folder: Path) -> Path:
    """The float graph of a network with random weights, `folder`/float.onnx."""
    torch.manual_seed(0)
    facts = NetworkFacts(
        **asdict(description),
        source="official",
        params=parameters(description),
        macs_per_pixel=macs_per_pixel(description),
        receptive_radius=receptive_radius(description),
        weights_sha256="random",
    )
    write_onnx(float_graph(build(description).eval().requires_grad_(False), facts), folder / "float.onnx")
    return folder / "float.onnx"


def benchmark_finetuning(
    budget: Budget, graph: Path, images: Sequence[Path], folder: Path, device: str
) -> None:
    recipe = budget.recipe
    print(f"\nfinetune: {title(budget.network)}, {steps_of(recipe)}, {len(images)} images", flush=True)
    calibration = Calibration(
        graph,
        images,
        *[folder / "none"] * 3,
        statistics=recipe.statistics,
        augmentation=augmentation(recipe),
        device=device,
    )
    measured(recipe, calibration, device)
    few = replace(
        recipe, statistics=replace(recipe.statistics, crops=8 * recipe.finetune.batch),
        finetune=replace(recipe.finetune, steps=min(30, recipe.finetune.steps)),
    )  # fmt: skip
    again = partial(replace, calibration, images=images[:8], statistics=few.statistics)
    ends = [digest(arrays(run(few, again()))) for _ in range(2)]
    equal = "equal" if ends[0] == ends[1] else "UNEQUAL"
    print(f"  two runs of {steps_of(few)} end in {equal} networks", flush=True)


def benchmark_large(budget: Budget, images: Sequence[Path], folder: Path, device: str) -> None:
    recipe = budget.large_recipe
    start = time.perf_counter()
    graph = random_graph(budget.large, folder / "large")
    exported = time.perf_counter() - start
    for path in images[: budget.details]:
        write_png(folder / "details" / path.name, np.ascontiguousarray(read_rgb(path)[:48, :48]))
    details = sorted((folder / "details").iterdir())
    print(
        f"\nfinetune: {title(budget.large)}, random weights, {steps_of(recipe)}; {exported:.1f} s to export"
    )
    calibration = Calibration(
        graph,
        details,
        *[folder / "none"] * 3,
        statistics=recipe.statistics,
        augmentation=augmentation(recipe),
        device=device,
    )
    measured(recipe, calibration, device)


def measured(recipe: Recipe, calibration: Calibration, device: str) -> None:
    """Run the passes of `recipe` as `passes.run` does, and print seconds, memory and what was gained."""
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    state, begun = QuantizedNetwork(calibration.float_network), time.perf_counter()
    for step in passes(recipe):
        start = time.perf_counter()
        state = step(state, recipe, calibration)
        print(f"  {time.perf_counter() - start:8.1f} s  {step.__name__}{peak_memory(device)}", flush=True)
    state = with_last_point(state, calibration)
    print(f"  {time.perf_counter() - begun:8.1f} s  in all{peak_memory(device)}")
    first, last = state.curve[0].held_out_mse, state.curve[-1].held_out_mse
    print(f"  error on held-out crops: {first:.4f} before, {last:.4f} after, in grey levels squared")


def peak_memory(device: str) -> str:
    """Until now: in tensors, and what torch took from the GPU for them."""
    if device == "cpu":
        return ""
    tensors, taken = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    return f", peak memory {tensors / 1e9:.2f} GB in tensors, {taken / 1e9:.2f} GB taken"


def title(network: Description) -> str:
    return f"f{network.features} b{network.blocks} x{network.scale}"


def steps_of(recipe: Recipe) -> str:
    s, f = recipe.statistics, recipe.finetune
    return f"{f.steps} steps of {f.batch} out of {s.crops} crops {s.patch}x{s.patch}"


def arrays(state: QuantizedNetwork) -> list[np.ndarray]:
    weights = [array for x in state.network.layers if isinstance(x, Conv) for array in (x.weight, x.bias)]
    return [*weights, np.array([(grid.scale, grid.zero_point) for grid in state.grids.values()])]


def digest(values: Iterable[np.ndarray]) -> str:
    found = hashlib.sha256()
    for value in values:
        found.update(np.ascontiguousarray(value).tobytes())
    return found.hexdigest()


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
