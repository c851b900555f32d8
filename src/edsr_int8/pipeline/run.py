"""How a stage script runs: with the rows of params.yaml, and with errors in one line."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from edsr_int8.ending import end_done
from edsr_int8.errors import InputError, told
from edsr_int8.pipeline.params import load
from edsr_int8.pipeline.recovery import keep_locks


def run(stage: Callable[..., None]) -> None:
    """Call `stage(params, *arguments)`; what the user can put right ends in one line and exit status 1."""
    try:
        if "DVC_STAGE" in os.environ:
            keep_locks(Path())
        stage(load(Path("params.yaml")), *sys.argv[1:])
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {told(error)}")
    if "torch" in sys.modules:
        end_done()
