"""The file of rounded weights: what is damaged or of another network is refused in one line."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edsr_int8.errors import InputError
from edsr_int8.quantization.algorithms.gptq_weights import load_weights, save_weights
from edsr_int8.quantization.ir.layers import Conv, Network
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip

Networks = Callable[[str], Network]
FORM = "1-0-1-0"


def test_file_gives_back_what_was_saved(networks: Networks, tmp_path: Path) -> None:
    network, blank = networks("x1"), networks("x1")
    blank = replace(
        blank,
        layers=tuple(replace(x, weight=0 * x.weight) if isinstance(x, Conv) else x for x in blank.layers),
    )
    save_weights(tmp_path / "w.npz", {FORM: network})
    for x, y in zip(network.layers, load_weights(tmp_path / "w.npz", blank, FORM).layers, strict=True):
        if isinstance(x, Conv):
            assert isinstance(y, Conv) and (x.weight == y.weight).all() and (x.bias == y.bias).all()


def test_weights_of_another_network_are_refused(networks: Networks, tmp_path: Path) -> None:
    network = networks("x1")
    save_weights(tmp_path / "w.npz", {FORM: replace(network, metadata={"weights_sha256": "0123456789"})})
    with pytest.raises(InputError, match=r"w\.npz: is of weights 01234567, not 0a; run gptq again"):
        load_weights(tmp_path / "w.npz", network, FORM)


def test_weights_of_another_form_of_the_network_are_refused(networks: Networks, tmp_path: Path) -> None:
    network = networks("x1")
    save_weights(tmp_path / "w.npz", {FORM: network})
    with pytest.raises(InputError, match=r"w\.npz: not what gptq writes .*run it again"):
        load_weights(tmp_path / "w.npz", fold_long_skip(network), FORM)


@pytest.mark.parametrize("damage", [b"", b"not a zip file", b"PK\x03\x04"])
def test_damaged_file_is_refused(networks: Networks, tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "w.npz").write_bytes(damage)
    with pytest.raises(InputError, match=r"w\.npz: not what gptq writes") as refused:
        load_weights(tmp_path / "w.npz", networks("x1"), FORM)
    assert "\n" not in str(refused.value)


def test_missing_file_is_refused(networks: Networks, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"w\.npz: not found; run the gptq stage first"):
        load_weights(tmp_path / "w.npz", networks("x1"), FORM)
