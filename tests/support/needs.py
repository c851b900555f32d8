"""Reasons to skip a test; each skip says why."""

import pytest

from edsr_int8.machine import saturates


def need_openvino_int8() -> None:
    """Skip where openvino is not installed, or where its int8 would overflow on this CPU."""
    pytest.importorskip("openvino")
    if saturates():
        pytest.skip("openvino's int8 sums overflow on this CPU, which has no VNNI")
