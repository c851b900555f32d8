from pathlib import Path

import pytest
from tiny_build import Tiny, write_foreign, write_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "model.onnx")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A build with an operation that no runtime has."""
    write_foreign(tmp_path / "foreign.onnx")
    return tmp_path / "foreign.onnx"
