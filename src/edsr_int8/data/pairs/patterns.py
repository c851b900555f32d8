"""Which glob patterns may find the images of a data set."""

from pathlib import Path, PurePath

from edsr_int8.errors import InputError


def check_pattern(pattern: str) -> None:
    """InputError for a pattern that leaves its folder, has two `**`, or that Path.glob does not take."""
    path = PurePath(pattern)
    if path.is_absolute() or ".." in path.parts or path.parts.count("**") > 1:
        raise InputError(f"pattern {pattern!r}: must stay inside path, with one ** at most")
    if not path.parts:
        raise InputError(f"pattern {pattern!r}: names no file; such as '*.png'")
    try:
        next(Path("no such folder").glob(pattern), None)
    except ValueError as error:
        raise InputError(f"pattern {pattern!r}: {error}; such as '**/*.png'") from None
