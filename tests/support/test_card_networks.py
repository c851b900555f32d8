"""Every network of the card preset at its true shape, from a server to ONNX; the figures are the card's."""

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from card_networks import MODELS, Brought, bring

from edsr_int8.export import TOLERANCE
from edsr_int8.models.complexity import card_flops_g
from edsr_int8.pipeline.rows import NATIVE_SHAPE

pytestmark = pytest.mark.slow

FIRST = {row.description: name for name, row in reversed(MODELS.items())}  # the first row of each network
# The large networks of x2 and x3 have no layer that the large one of x4 and the medium ones lack.
EXPORTED = [name for d, name in FIRST.items() if d.features < 256 or d.scale == 4]


@pytest.fixture(scope="module")
def brought() -> Iterator[dict[str, Future[Brought]]]:
    """All rows, two at a time: tracing a network for export keeps one core busy for seconds."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield {name: pool.submit(bring, name, exported=name in EXPORTED) for name in MODELS}


@pytest.mark.parametrize("name", MODELS)
def test_fetch_convert_and_export(name: str, brought: dict[str, Future[Brought]]) -> None:
    row, found = MODELS[name], brought[name].result()
    assert found.answers == [200, 206]
    assert found.facts.params == found.parameters
    first = FIRST[row.description]
    if name in EXPORTED:
        assert found.max_abs_error <= TOLERANCE
        assert found.onnx_bytes == pytest.approx(4 * found.parameters, rel=0.05)
    elif name != first:  # the same tensors in the other publisher's names: what is exported is the same file
        assert found.weights_sha256 == brought[first].result().weights_sha256


@pytest.mark.parametrize("name", [name for name, row in MODELS.items() if row.reference])
def test_figures_equal_the_cards_to_all_its_digits(name: str, brought: dict[str, Future[Brought]]) -> None:
    row, facts = MODELS[name], brought[name].result().facts
    height, width = row.fixed_shape or NATIVE_SHAPE
    ours = {"params_m": facts.params / 1e6, "card_flops_g": card_flops_g(facts, height, width)}
    for figure in ours.keys() & row.reference.keys():
        assert f"{ours[figure]:.3f}" == f"{row.reference[figure]:.3f}", figure


def test_the_preset_has_every_row_that_the_publishers_have() -> None:
    names = ("EDSR_Mx", "EDSR_Lx", "EDSR_baseline_x", "EDSR_x", "MDSR_baseline_x", "MDSR_x")
    assert set(MODELS) == {"EDSR_x1"} | {f"{name}{scale}" for name in names for scale in (2, 3, 4)}
