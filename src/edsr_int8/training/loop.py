"""Training from pairs to weights. Killed at any moment and called again, it ends in the same weights."""

import shutil
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from edsr_int8.data.images import Image
from edsr_int8.errors import InputError
from edsr_int8.files import sha256
from edsr_int8.models.description import scales
from edsr_int8.progress import bar, tell
from edsr_int8.training.crops import check_patch, crops
from edsr_int8.training.learner import Learner
from edsr_int8.training.pixels import Pixels, decode
from edsr_int8.training.schedule import Training
from edsr_int8.training.state import State, load, save
from edsr_int8.training.validation import check_sizes

CHECKPOINT = "checkpoint.pt"
CUTTERS = 2  # threads that cut crops: a GPU takes a step in about the time that one of them needs
AHEAD = 4  # steps whose crops are cut before their turn


def train(
    name: str,
    training: Training,
    *,
    datasets: Sequence[Path],
    validation: Sequence[Path],
    partial: Path,
    device: str = "cpu",
) -> State:
    """Train on the pairs {hr,lr}/**.png of the folders `datasets`; returns the state after the last step.

    `best` of that state are the averaged weights with the highest PSNR on the folders `validation`. After
    every `validate_every` steps the state is saved in the folder `partial`, where the next call finds it.
    `device`: cpu | cuda. In the end the decoded pixels are deleted; the last checkpoint stays, for a caller
    that could not save the weights.

    InputError, which begins with the row `name`: data that do not fit, a loss that is infinite or NaN, a full
    disk, another process that trains the same row. The last good checkpoint stays.
    """
    partial.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(partial / "lock", timeout=0):
            pixels = decode(datasets, scales=scales(training.description), store=partial / "training")
            held = decode(validation, scales=scales(training.description), store=partial / "validation")
            check_patch(pixels, training.patch)
            check_sizes(held)
            learner = Learner(training, device=device)
            row = replace(training, datasets=(), validation=())  # their contents count, not their names
            contents = [pixels.contents, held.contents, _start_hash(training)]
            run = [asdict(row), *contents]
            if (kept := load(run, partial / CHECKPOINT)) is not None:
                learner.resume(kept)
            first, start = learner.state.step, time.monotonic()
            for low, high in batches(pixels, training, first):
                learner.learn(low, high)
                step = learner.state.step
                if step % training.validate_every == 0 or step == training.steps:
                    learner.score(held)
                    save(learner.state, run, partial / CHECKPOINT)
                    tell(_progress(learner.state, training.steps, time.monotonic() - start, step - first))
            for pixels_of in ("training", "validation"):
                shutil.rmtree(partial / pixels_of)
    except Timeout:
        raise InputError(
            f"training.{name}: {partial}: another process trains there, perhaps one that a killed run left; "
            "wait for it or end it, then run again"
        ) from None
    except InputError as error:
        raise InputError(f"training.{name}: {error}") from None
    return learner.state


def _progress(state: State, steps: int, seconds: float, taken: int) -> str:
    point = state.curve[-1]
    left = tqdm.format_interval(seconds / taken * (steps - state.step))
    return (
        f"step {state.step} of {steps}: loss {point.loss:.3f}, validation {point.val_psnr_db:.3f} dB, "
        f"{taken / seconds:.3g} steps a second, {left} left"
    )


def _start_hash(training: Training) -> str:
    return sha256(Path(training.start)) if training.start else ""


def batches(pixels: Pixels, training: Training, first: int) -> Iterator[tuple[Image, Image]]:
    """The crops of step `first` and later; those of the next steps are cut while the module learns."""

    def cut(step: int) -> tuple[Image, Image]:
        return crops(pixels, batch=training.batch, patch=training.patch, seed=training.seed, step=step)

    steps = bar(range(first, training.steps), "train", unit="step")
    with ThreadPoolExecutor(CUTTERS) as pool:
        coming = deque(pool.submit(cut, first + i) for i in range(AHEAD))
        for step in steps:
            now = coming.popleft().result()
            coming.append(pool.submit(cut, step + AHEAD))
            yield now
