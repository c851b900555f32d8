"""What tests share: the real images and weights, where they are at hand."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real images and weights beside the checkout; the test is skipped where it is missing."""
    if not (SHARED / "weights").is_dir():
        pytest.skip(f"needs the real images and weights in {SHARED.name}/ beside the checkout")
    return SHARED
