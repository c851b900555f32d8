"""A file that travels with the work that reads it."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Shipped:
    """A file's path here; pickled, its contents too, so that nothing is read where it arrives."""

    path: Path  # what messages call it, wherever they come from
    contents: bytes | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        contents = self.path.read_bytes() if self.contents is None else self.contents
        return Shipped, (self.path, contents)

    @contextlib.contextmanager
    def on_disk(self) -> Iterator[Path]:
        """The path of the file here, for the time of the block. Errors name the path that it came from."""
        if self.contents is None:
            yield self.path
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / self.path.name
            copy.write_bytes(self.contents)
            try:
                yield copy
            except Exception as error:
                error.args = tuple(
                    text.replace(str(copy), str(self.path)) if isinstance(text, str) else text
                    for text in error.args
                )
                raise
