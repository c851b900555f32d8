"""Where every artifact lies, relative to the repository: the only place that spells paths.

The dvc.yaml files name the same paths for DVC; a test compares the two.
"""

from pathlib import Path

BUILD = Path("build")
RESULTS = Path("results")
FETCHED = Path("data/fetched")
SAMPLE = BUILD / "sample"
RANDOM_START = Path("data/weights/random")  # holds no weights: DVC needs a file that exists

# Names that a model, precision or target row may not have: the pipeline uses these folders itself.
RESERVED_MODELS = (
    *("bundle", "comparison", "coverage", "curves", "datasets", "digests", "gptq", "histograms", "partial"),
    *("probe", "sample", "scores", "sensitivity", "timings", "training", "training_images"),
)
RESERVED_PRECISIONS = ("checkpoint", "export", "images")
RESERVED_TARGETS = ("finetune",)
RESERVED = {"models": RESERVED_MODELS, "precisions": RESERVED_PRECISIONS, "targets": RESERVED_TARGETS}


def fetched(download: str) -> Path:
    """The file of a `downloads` row, or the files of its archive."""
    return FETCHED / download


def partial(stage: str, row: str) -> Path:
    """State of unfinished work. DVC does not track it, so a killed run can go on from it."""
    return BUILD / "partial" / stage / row


def kept_lock(lock: Path) -> Path:
    """The copy of a dvc.lock as it was when the last stage began, for the day it is cut short by a kill."""
    return BUILD / "partial" / "locks" / lock


def dataset(row: str) -> Path:
    """{hr,lr}/**.png of a `datasets` row; lr/x.png pairs with hr/x.png."""
    return BUILD / "datasets" / row


def dataset_digest(section: str, row: str) -> Path:
    """The hashes of the data sets that a row of `models` or `training` reads."""
    return BUILD / "digests" / "datasets" / section / f"{row}.json"


def training_images(row: str) -> Path:
    """{training,validation}/<dataset>/{hr,lr}/**.png of a `training` row."""
    return BUILD / "training_images" / row


def training(row: str) -> Path:
    """weights.pt, last.pt, loss.csv and validation.csv of a `training` row."""
    return BUILD / "training" / row


def checkpoint(model: str) -> Path:
    """weights.safetensors and description.json."""
    return BUILD / model / "checkpoint"


def export(model: str) -> Path:
    """float.onnx, uint8.onnx and parity.json."""
    return BUILD / model / "export"


def images(model: str) -> Path:
    """calibration/**.png, evaluation/<dataset>/{hr,lr}/**.png and card/<dataset>/{hr,lr}/**.png."""
    return BUILD / model / "images"


def read_by(model: str, target: str) -> Path:
    """The hash of those of `images` that a target's output and its scores depend on."""
    return images(model) / "read_by" / f"{target}.json"


def histograms(model: str) -> Path:
    """Histograms of every activation of the float network on the calibration images."""
    return BUILD / "histograms" / f"{model}.npz"


def observed_digest(model: str, stage: str) -> Path:
    """The hashes of what `gptq` or `sensitivity` reads of the calibration, if any row needs the stage."""
    return BUILD / "digests" / "observed" / model / f"{stage}.json"


def calibration_digest(model: str, stage: str, precision: str) -> Path:
    """The hashes of what `finetune` or `quantize` reads of the calibration for one precision."""
    return BUILD / "digests" / "calibration" / model / stage / f"{precision}.json"


def coverage(model: str) -> Path:
    """For each activation, the share of its values on some evaluation images that its range clips."""
    return BUILD / "coverage" / f"{model}.json"


def gptq(model: str) -> Path:
    """Weights of the folded network, rounded to their int8 grids by GPTQ."""
    return BUILD / "gptq" / f"{model}.npz"


def sensitivity(model: str) -> Path:
    """The output error that quantizing each tensor and each convolution causes."""
    return BUILD / "sensitivity" / f"{model}.csv"


def finetuned(model: str, precision_name: str) -> Path:
    """curve.csv and, for a recipe that learns, the quantized network."""
    return BUILD / model / precision_name / "finetune"


def curve(model: str, precision_name: str) -> Path:
    """The curve.csv of `finetuned`, in the folder that DVC plots; without finetuning it has no points."""
    return BUILD / "curves" / model / f"{precision_name}.csv"


def precision(model: str, name: str) -> Path:
    return BUILD / model / name


def onnx(model: str, precision_name: str) -> Path:
    return precision(model, precision_name) / "model.onnx"


def ranges(model: str, precision_name: str) -> Path:
    """Tensor -> low, high, scale and zero point; empty for a float build."""
    return precision(model, precision_name) / "ranges.json"


def outputs(model: str, precision_name: str, target: str) -> Path:
    """status.json and <dataset>/**.png: the build's output for the evaluation images."""
    return precision(model, precision_name) / target


def scores(model: str, precision_name: str, target: str) -> Path:
    """scores.json and the crops that the page shows."""
    return BUILD / "scores" / model / precision_name / target


def comparison(model: str, precision_name: str) -> Path:
    """How far each target's images differ from those of exact integer arithmetic."""
    return BUILD / "comparison" / model / f"{precision_name}.json"


def bundle(model: str) -> Path:
    """The folder that the accelerator's compiler reads, or a README.md that says why there is none."""
    return BUILD / "bundle" / model


def timing(model: str, precision_name: str, target: str) -> Path:
    return BUILD / "timings" / model / precision_name / target / "timing.json"


def probe(target: str) -> Path:
    """The runtime of a `targets` row here, and the facts of this machine that change its results."""
    return BUILD / "probe" / f"{target}.json"


def code(stage: str) -> Path:
    """Every file of the repository that the stage's script may load, with its hash."""
    return BUILD / "probe" / "code" / f"{stage}.json"


def settings(stage: str, row: str = "") -> Path:
    """What a stage reads of params.yaml, where dvc.yaml cannot name the keys; '': of all rows at once."""
    return BUILD / "probe" / "settings" / stage / f"{row or 'all-rows'}.json"


def all_targets_probe() -> Path:
    """What `probe` has for each target, in one file: a stage for all targets cannot name each of them."""
    return probe("all-targets")  # no target's name has a '-'


def checkpoint_probe(model: str) -> Path:
    """The keys of a model row that may be left out, and the hash of a checkpoint of one's own."""
    return BUILD / "probe" / "checkpoints" / f"{model}.json"


def start_probe(training: str) -> Path:
    """The hash of the checkpoint that a training begins from, where it is one of one's own."""
    return BUILD / "probe" / "starts" / f"{training}.json"


def fid_probe() -> Path:
    """What the section `fid` asks for, and whether its weights are here."""
    return probe("fid-weights")
