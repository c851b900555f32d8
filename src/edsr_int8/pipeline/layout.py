"""Where every artifact lies, relative to the repository: the only place that spells paths.

`dvc.yaml` names the same paths for DVC; a test compares the two.
"""

from pathlib import Path

BUILD = Path("build")
RESULTS = Path("results")
SAMPLE = BUILD / "sample"
RANDOM_START = Path("data/weights/random")  # names no weights: DVC wants a file that is there

# Names that a model, precision or target row may not take: their folders would be the pipeline's own.
RESERVED_MODELS = (
    *("bundle", "comparison", "coverage", "curves", "datasets", "gptq", "histograms", "partial", "probe"),
    *("sample", "scores", "sensitivity", "timings", "training", "training_images"),
)
RESERVED_PRECISIONS = ("checkpoint", "export", "images")
RESERVED_TARGETS = ("finetune", "needs")
RESERVED = {"models": RESERVED_MODELS, "precisions": RESERVED_PRECISIONS, "targets": RESERVED_TARGETS}


def fetched(download: str) -> Path:
    """The unpacked archive, or the one file, of a `downloads` row."""
    return Path("data/fetched") / download


def partial(stage: str, row: str) -> Path:
    """State of unfinished work: DVC does not track it, so it survives a killed run."""
    return BUILD / "partial" / stage / row


def dataset(row: str) -> Path:
    """{hr,lr}/**.png of a `datasets` row; lr/x.png pairs with hr/x.png."""
    return BUILD / "datasets" / row


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


def histograms(model: str) -> Path:
    """Of every activation of the float network over the calibration images."""
    return BUILD / "histograms" / f"{model}.npz"


def coverage(model: str) -> Path:
    """Of every activation the share that the calibrated range clips on some evaluation images."""
    return BUILD / "coverage" / f"{model}.json"


def gptq(model: str) -> Path:
    """Weights of the folded network on their int8 grids, rounded by what calibration shows."""
    return BUILD / "gptq" / f"{model}.npz"


def sensitivity(model: str) -> Path:
    """What rounding each tensor and each convolution costs."""
    return BUILD / "sensitivity" / f"{model}.csv"


def finetuned(model: str, precision_name: str) -> Path:
    """curve.csv and, where the row asks for more than a histogram, weights.npz and grids.json."""
    return BUILD / model / precision_name / "finetune"


def curve(model: str, precision_name: str) -> Path:
    """`finetuned`'s curve.csv where DVC can plot it and the page finds all: no point without finetuning."""
    return BUILD / "curves" / model / f"{precision_name}.csv"


def precision(model: str, name: str) -> Path:
    return BUILD / model / name


def onnx(model: str, precision_name: str) -> Path:
    return precision(model, precision_name) / "model.onnx"


def ranges(model: str, precision_name: str) -> Path:
    """Tensor -> low, high, scale and zero point; none of a float build."""
    return precision(model, precision_name) / "ranges.json"


def outputs(model: str, precision_name: str, target: str) -> Path:
    """status.json and <dataset>/**.png: what the build makes of the evaluation images."""
    return precision(model, precision_name) / target


def scores(model: str, precision_name: str, target: str) -> Path:
    """scores.json and the crops that the page shows."""
    return BUILD / "scores" / model / precision_name / target


def comparison(model: str, precision_name: str) -> Path:
    """How far each target's images are from those of exact integer arithmetic."""
    return BUILD / "comparison" / model / f"{precision_name}.json"


def bundle(model: str) -> Path:
    """What the vendor's compiler takes, or a README.md that says why there is none."""
    return BUILD / "bundle" / model


def timing(model: str, precision_name: str, target: str) -> Path:
    return BUILD / "timings" / model / precision_name / target / "timing.json"


def probe(target: str) -> Path:
    """Which runtime a `targets` row finds here, and what of this machine changes its results."""
    return BUILD / "probe" / f"{target}.json"


def code(stage: str) -> Path:
    """Every file of the repository that the stage's script may run, and its hash."""
    return BUILD / "probe" / "code" / f"{stage}.json"


def needs() -> Path:
    """Which of the stages that serve all precisions a row needs."""
    return BUILD / "probe" / "needs.json"


def fid_probe() -> Path:
    """What the section `fid` asks for, and whether it can be had; no target's name has a '-'."""
    return probe("fid-weights")
