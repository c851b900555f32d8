"""One set-up of onnxruntime for the whole program."""

from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "edsr_int8"


def test_only_one_module_sets_onnxruntime_up() -> None:
    """A second memory pool or another set of options would give other peaks, or other bytes."""
    calls = ("SessionOptions()", "create_and_register_allocator(")
    found = [path.name for path in SOURCE.rglob("*.py") if any(call in path.read_text() for call in calls)]
    assert found == ["onnx_session.py"]
