"""A row of `targets`, before any runtime is loaded."""

import pytest

from edsr_int8.errors import InputError
from edsr_int8.targets.base import open_target
from edsr_int8.targets.row import TargetRow


@pytest.mark.parametrize(
    ("runtime", "key", "reads"),
    [
        ("integer", "provider", "rounding"),
        ("vacc", "provider", "outputs"),
        ("openvino", "rounding", "provider"),
        ("torch", "outputs", "provider"),
    ],
)
def test_a_key_that_the_runtime_would_ignore_is_refused(runtime: str, key: str, reads: str) -> None:
    row = TargetRow(runtime, **{key: "fused"})
    with pytest.raises(InputError, match=rf"^{key}: runtime {runtime} ignores it; .*reads {reads}"):
        open_target(row)


def test_an_unknown_runtime_is_refused_with_those_known() -> None:
    with pytest.raises(InputError, match=r"^runtime: 'onxruntime' is unknown; known are integer"):
        open_target(TargetRow("onxruntime", 1, 1024))
