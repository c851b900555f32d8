"""Words that were this project's own until 0.1, and that the field's have replaced, do not come back."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pipeline_files
import pytest

from edsr_int8.pipeline.refusals import RENAMED

ROOT = Path(__file__).resolve().parents[1]
TEXT = {".css", ".html", ".js", ".md", ".py", ".yaml"}
FOLDERS = ("src", "stages", "pipeline", "docs", "presets", "benchmarks")
FILES = ("README.md", "CONTRIBUTING.md", "dvc.yaml", "params.yaml")
# These may say what something was called until 0.1: the first refuses it, the others tell what it became.
TELL_OF_OLD_NAMES = ("src/edsr_int8/pipeline/refusals.py", "docs/decisions.md", "CHANGELOG.md")

# Old word -> the word now. Searched for as whole words, in code, comments and prose.
WORDS = {
    "agreement": "conformance, equal share",
    "bypass": "fold_long_skip, folded long skip",
    "bypassed": "folded",
    "CARD": "MODEL_CARD, accelerator",
    "float_byte_share": "high_precision_byte_share",
    "float_layers": "high_precision_layers",
    "float_mac_share": "high_precision_mac_share",
    "footprint": "memory",
    "pieces": "subgraphs, batches, tiles",
    "prepare": "passes.run",
    "sketch": "histogram",
    "sketches": "histograms",
    "TargetOptions": "TargetRow",
    "TrainingOptions": "Training",
    "tune": "finetune",
    "tuned": "finetuned (the row int8_tuned keeps its name)",
    "tunes": "finetunes",
    "tuning": "finetuning",
}
# Ordinary English words or names of other libraries, banned only as names: of functions, classes, arguments,
# fields and keys, and as `code` in prose. Allowed are "halves to even", "tensors share one scale", ast.walk,
# numpy's round, narrow screens, HTML's <select> and the like.
NAMES = {
    "agree": "compare_targets",
    "even": "equalize",
    "even_out": "equalize",
    "mix": "channel_transform",
    "narrow": "collapse_tail",
    "narrowed": "collapse_tail",
    "share": "unify_scales",
    "Sum": "Add, LinearCombination",
    "walk": "interpret",
    "Walk": "Interpreter",
}
ONLY_CODE = ("budget", "parts")  # arguments of other meanings: a memory budget, the parts of a path
STAGES = {
    "agree": "evaluate",
    "round": "gptq",
    "select": "model_images",
    "select_training": "training_images",
    "tune": "finetune",
}


def files(*suffixes: str) -> Iterator[Path]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    for path in [*found, *(ROOT / name for name in FILES)]:
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in (suffixes or TEXT) and name not in TELL_OF_OLD_NAMES:
            yield path


def places(pattern: str, *suffixes: str) -> list[str]:
    """file:line of every line that matches."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:90]}"
        for path in files(*suffixes)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_gone(word: str) -> None:
    assert places(rf"\b{word}\b") == [], f"write {WORDS[word]}"


def given_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Names of functions, classes, arguments and fields, with their lines; not those of local variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield field.target.id, field.lineno


def test_no_function_class_argument_or_field_has_an_old_name() -> None:
    old = [
        f"{path.relative_to(ROOT)}:{line}: {name}, now {NAMES[name]}"
        for path in files(".py")
        for name, line in given_names(ast.parse(path.read_text(encoding="utf-8")))
        if name in NAMES
    ]
    assert old == []


@pytest.mark.parametrize("name", [*NAMES, *STAGES, *ONLY_CODE])
def test_an_old_name_is_no_code_in_prose(name: str) -> None:
    assert places(rf"`{name}(:[^`]*)?`", ".md", ".html") == []


def test_stages_and_their_scripts_have_the_new_names() -> None:
    assert not STAGES.keys() & pipeline_files.STAGES.keys()
    assert set(STAGES.values()) <= pipeline_files.STAGES.keys()
    assert not STAGES.keys() & {script.stem for script in (ROOT / "stages").glob("*.py")}
    assert places(rf"stages[./]({'|'.join(STAGES)})\b") == []


def test_no_preset_has_an_old_key() -> None:
    """Presets are read by tests of their own, too: here, rows that are commented out count as well."""
    old = "|".join(key for keys in RENAMED.values() for key in keys if key not in ("crops", "patch", "seed"))
    assert places(rf"\b({old}):", ".yaml") == []
