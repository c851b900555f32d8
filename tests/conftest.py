"""What tests share: the real images and weights, where they are at hand."""

import os
from collections.abc import Iterator
from pathlib import Path

# Tiny inputs: a second thread only spins. Set before numpy, torch or onnxruntime are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest

# A busy machine is no failure.
hypothesis.settings.register_profile("patient", deadline=None, derandomize=True)
hypothesis.settings.load_profile("patient")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first: on two cores, one of them would end alone."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """A device that torch computes on, set up as the stages do; the test is skipped where there is none."""
    import torch  # seconds, which other tests need not wait for

    from edsr_int8.pipeline.torch_device import repeat_on_cuda

    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("needs a GPU that torch finds")
        repeat_on_cuda()
    yield request.param
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real images and weights beside the checkout; the test is skipped where it is missing."""
    if not (SHARED / "weights").is_dir():
        pytest.skip(f"needs the real images and weights in {SHARED.name}/ beside the checkout")
    return SHARED
