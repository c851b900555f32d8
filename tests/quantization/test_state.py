"""The folder of a quantized network: what is saved is loaded, and what is damaged is refused in one line."""

import random
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from edsr_int8.errors import InputError
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.rewrites.collapse_tail import collapse_tail
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip
from edsr_int8.quantization.state import ARRAYS, NETWORK, QuantizedNetwork, load, save

States = Callable[[str], QuantizedNetwork]
FILES = (NETWORK, ARRAYS)


def rewritten(state: QuantizedNetwork) -> QuantizedNetwork:
    """With every kind of layer that a rewrite adds, and a layer in float."""
    network = fold_long_skip(collapse_tail(state.network))
    grids = {name: state.grids[name] for name in calibrated(network)}
    return QuantizedNetwork(network, high_precision=frozenset({"tail"})).on_grids(grids)


@pytest.fixture
def folder(quantized: States, tmp_path: Path) -> Path:
    save(tmp_path / "saved", rewritten(quantized("six")))
    return tmp_path / "saved"


@pytest.mark.parametrize("name", ["x1", "x4", "direct", "mdsr", "six"])
@pytest.mark.parametrize("change", [rewritten, lambda state: state], ids=["rewritten", "as it is"])
def test_folder_gives_back_what_was_saved(
    quantized: States,
    tmp_path: Path,
    name: str,
    change: Callable[[QuantizedNetwork], QuantizedNetwork],
) -> None:
    state = change(quantized(name))
    save(tmp_path, state)
    loaded = load(tmp_path, weights_sha256="0a")
    assert (loaded.grids, loaded.high_precision) == (state.grids, state.high_precision)
    assert loaded.network.metadata == state.network.metadata
    for before, after in zip(state.network.layers, loaded.network.layers, strict=True):
        assert type(before) is type(after)
        for field in fields(before):
            ours, theirs = (getattr(layer, field.name) for layer in (before, after))
            assert type(ours) is type(theirs)
            if isinstance(ours, np.ndarray):
                assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)


def test_equal_values_give_equal_bytes(quantized: States, folder: Path, tmp_path: Path) -> None:
    save(tmp_path / "again", rewritten(quantized("six")))
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as refused:
        load(folder, weights_sha256="0a")
    message = str(refused.value)
    assert str(folder) in message and "\n" not in message
    return message


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert refusal(folder).endswith(f"{name}: not found; run the finetune stage first")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fraction", [0, 0.01, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(folder: Path, name: str, fraction: float) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(fraction * len(content))])
    assert re.search("run (it )?again", refusal(folder))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "7",
        "{}",
        '{"layers": [7], "metadata": {}, "grids": {}, "high_precision": []}',
        '{"layers": [{"kind": "Pool", "name": "x"}], "metadata": {}, "grids": {}, "high_precision": []}',
        '{"layers": [{"kind": "Conv", "name": "x"}], "metadata": {}, "grids": {}, "high_precision": []}',
        '{"layers": [], "metadata": 7, "grids": {}, "high_precision": []}',
        '{"layers": [], "metadata": {}, "grids": [], "high_precision": []}',
        '{"layers": [], "metadata": {}, "grids": {"head": {"scale": 1}}, "high_precision": []}',
        '{"layers": [], "metadata": {}, "grids": {}, "high_precision": 7}',
    ],
)
def test_network_of_another_form_is_refused(folder: Path, text: str) -> None:
    (folder / NETWORK).write_text(text)
    assert "not what finetune writes" in refusal(folder)


@pytest.mark.parametrize("name", FILES)
def test_damaged_bytes_are_refused_or_harmless(folder: Path, name: str) -> None:
    """Some bytes may differ without harm: a weight's, a date's."""
    original, random_of = (folder / name).read_bytes(), random.Random(0)
    for _ in range(300):
        damaged = bytearray(original)
        for _ in range(random_of.choice([1, 3])):
            damaged[random_of.randrange(len(damaged))] = random_of.randrange(256)
        (folder / name).write_bytes(damaged)
        try:
            load(folder, weights_sha256="0a")
        except InputError as error:
            assert str(folder) in str(error) and "\n" not in str(error)


def test_other_weights_are_refused(quantized: States, tmp_path: Path) -> None:
    state = quantized("six")
    other = replace(state.network, metadata={"weights_sha256": "0123456789"})
    save(tmp_path, replace(state, network=other))
    assert refusal(tmp_path).endswith("is of weights 01234567, not 0a; run finetune again")
