"""Which stages start after a change of each key of params.yaml: by DVC's stages, and by what `probe` writes.

soak/test_mutations.py runs the pipeline to see that these are the stages that read the key.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest
from mutations import Change, Pipeline, all_sections, changes, kind, leaves, pattern, pipeline_of, read
from project import make_project

from edsr_int8.pipeline import layout
from edsr_int8.pipeline.settings import Written, learning, settings, writing
from edsr_int8.quantization.recipe import Finetune, Recipe, Structure

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "params.md").read_text(encoding="utf-8")
LAST = {"probe", "report"}  # the first sees all rows, the second all that comes out
RUNS_TARGET = {"infer", "time"}
# Of each section, what its keys start; then those that start something else, or more.
EXPECTED = {
    "calibration": {"model_images"},
    "datasets": {"dataset"},
    "downloads": set(),
    "fid": {"evaluate"},
    "mirror": set(),
    "models": {"convert"},
    "targets": RUNS_TARGET,
    "training": {"train"},
    "downloads.*.sha256": {"fetch"},
    "downloads.*.unpack": {"fetch"},
    "fid.urls": set(),
    "models.*.calibration": {"dataset_digests", "model_images"},
    "models.*.evaluation": {"bundle", "dataset_digests", "model_images"},
    "models.*.protocols": {"evaluate", "model_images"},
    "models.*.reference": set(),
    "models.*.scale": {"bundle", "convert", "model_images"},
    "models.*.shape": {"bundle", "evaluate", "model_images", "time"},
    "models.*.source": {"bundle", "convert"},
    "targets.*.runtime": RUNS_TARGET | {"evaluate", "model_images"},
    "targets.*.rounding": RUNS_TARGET | {"evaluate"},
    "training.*.datasets": {"dataset_digests", "train", "training_images"},
    "training.*.validation": {"dataset_digests", "train", "training_images"},
}  # fmt: skip
TOGETHER = ("provider", "tile", "python", "outputs")  # tried with another runtime


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("site")))
        project = make_project(tmp_path_factory.mktemp("settings") / "one")
        return pipeline_of(project, all_sections(project))


@pytest.fixture(scope="module")
def started(pipeline: Pipeline) -> list[tuple[Change, set[str]]]:
    return [(change, pipeline.started(change) - LAST) for change in changes(pipeline.tree)]


Started = list[tuple[Change, set[str]]]


def test_a_key_starts_the_stages_that_the_table_names(started: Started) -> None:
    found = defaultdict(set)
    for change, stages in started:
        section, *_ = change.leaf.split(".")
        if section != "precisions" and not (section == "targets" and change.leaf.endswith(TOGETHER)):
            found[pattern(change.leaf)] |= set(map(kind, stages))
    wrong = {
        leaf: stages
        for leaf, stages in found.items()
        if stages != EXPECTED.get(leaf, EXPECTED[leaf.split(".")[0]])
    }
    assert wrong == {}


def test_the_page_names_the_same_stages() -> None:
    for section in ("calibration", "downloads", "models"):
        part = re.search(rf"^## `{section}`\n(.*?)(?=^## )", PAGE, flags=re.MULTILINE | re.DOTALL)
        assert part
        for key, told in re.findall(r"^\| `(\w+)` \|.* \| ([^|]*) \|$", part[1], flags=re.MULTILINE):
            leaf = f"{section}.{key}" if section == "calibration" else f"{section}.*.{key}"
            wanted = EXPECTED.get(leaf, EXPECTED[section])
            assert set(re.findall(r"\w+", told)) - {"nothing", "report"} == wanted, leaf


def test_a_key_of_a_recipe_starts_only_what_reads_it(pipeline: Pipeline, started: Started) -> None:
    """`quantize` of the row, or `finetune` where it learns; two stages that serve all rows at once; and those
    that tell them what they read, where that is something else now."""
    before = read(pipeline.tree).precisions
    for change, stages in started:
        section, row, *_ = [*change.leaf.split("."), ""]
        if section == "precisions":
            after = change.params.precisions
            expected = {f"finetune-{row}"} if learning(before[row]) != learning(after[row]) else set()
            expected |= {f"quantize-{row}"} if writing(before[row]) != writing(after[row]) else set()
            expected |= {"gptq"} if forms(before) != forms(after) else set()
            expected |= {"sensitivity"} if is_measured(before) != is_measured(after) else set()
            expected |= {"observed_digests"} if needs(before) != needs(after) else set()
            expected |= {"calibration_digests"} if reads(before[row]) != reads(after[row]) else set()
            told = {stage.replace("@tiny_x2", "") for stage in stages if "tiny_x2" in stage}
            assert told == expected and len(stages) == 2 * len(expected), change.leaf


def forms(recipes: Mapping[str, Recipe]) -> set[Structure]:
    return {recipe.structure for recipe in recipes.values() if recipe.gptq and not recipe.learns}


def is_measured(recipes: Mapping[str, Recipe]) -> bool:
    return any(recipe.high_precision_budget for recipe in recipes.values())


def needs(recipes: Mapping[str, Recipe]) -> tuple[bool, bool]:
    return bool(forms(recipes)), is_measured(recipes)


def reads(recipe: Recipe) -> tuple[bool, list[str]]:
    return recipe.learns, recipe.reads


def test_every_key_was_changed(pipeline: Pipeline, started: Started) -> None:
    """But those that allow one value in this project: the sizes of the network, and what it is for."""
    left = {pattern(leaf) for leaf in leaves(read(pipeline.tree))}
    left -= {pattern(change.leaf) for change, _ in started}
    assert left == {
        "datasets.*.task", "datasets.*.scale", "models.*.scale", "training.*.network", "training.*.scale",
        "precisions.*.carriers.tail",
    }  # fmt: skip


def test_a_sweep_of_percentiles_reaches_quantize_alone(started: Started) -> None:
    swept = [stages for change, stages in started if change.leaf == "precisions.int8.percentile"]
    assert swept and all(stages == {"quantize@tiny_x1-int8", "quantize@tiny_x2-int8"} for stages in swept)


def test_a_row_that_does_not_learn_has_nothing_for_finetune() -> None:
    strict = Recipe("int8", "percentile", 99.9, gptq=True)
    assert learning(strict) is None and writing(strict) == Written(strict, learned=False)


def test_of_a_row_that_learned_quantize_reads_what_names_the_build() -> None:
    tuned = Recipe("int8", "percentile", 99.9, finetune=Finetune(100), equalize=True)
    assert learning(tuned) == tuned
    assert writing(tuned) == Written(Recipe("int8", "percentile", 99.9), learned=True)


def test_the_order_of_rows_counts_where_it_is_seen(pipeline: Pipeline) -> None:
    """The table is in the order of params.yaml, and DVC takes a section in another order for the same."""
    tree = pipeline.tree | {"targets": dict(reversed(pipeline.tree["targets"].items()))}
    now = settings(read(tree))
    changed = {path for path, value in now.items() if value != pipeline.settings[path]}
    assert changed == {layout.settings("report"), layout.settings("evaluate")}
