"""An error is one line, whatever the names in it hold."""

import pytest

from edsr_int8.errors import InputError


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb.png", "a\\nb.png"),
        ("\x1b[2Jclear.png", "\\x1b[2Jclear.png"),
        ("\udcff.png", "\\udcff.png"),  # a byte that is no UTF-8, as os.fsdecode gives it
        ("line\u2028end", "line\\u2028end"),
        ("Größe 4 × 5.png", "Größe 4 × 5.png"),
    ],
)
def test_names_cannot_break_the_line(name: str, shown: str) -> None:
    assert str(InputError(f"{name}: is no image")) == f"{shown}: is no image"
    assert f"x: {InputError(name)}" == f"x: {shown}"
