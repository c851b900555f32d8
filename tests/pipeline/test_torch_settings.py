"""torch as stages set it up whose output is compared by its bytes."""

import subprocess
import sys

CODE = """
import torch
from edsr_int8.pipeline.torch_settings import settle_torch
for _ in range(2):
    settle_torch()
print(torch.get_num_threads(), float(torch.ones(2**21).sum()))
"""


def test_two_threads_and_tensors_as_before() -> None:
    """In a process of its own: the settings stay."""
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True, text=True).stdout
    assert found.split() == ["2", str(float(2**21))]
