"""Whether the stages observe, gptq and sensitivity are needed: each serves all precisions at once."""

from pathlib import Path

from edsr_int8.artifacts import read_json
from edsr_int8.files import write_text
from edsr_int8.pipeline import layout
from edsr_int8.quantization.recipe import Structure


def skip_unneeded(stage: str, out: Path) -> bool:
    """Whether no row needs `stage`; then `out` is written as an empty file, which its readers understand."""
    if read_json(layout.settings(stage), bool | list[Structure], "probe"):
        return False
    write_text(out, "")
    return True
