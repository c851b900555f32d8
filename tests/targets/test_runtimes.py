"""Every installed runtime: its arithmetic against torch in float64, and what it says where it cannot run."""

from pathlib import Path

import numpy as np
import pytest
from tiny_build import Tiny, photograph
from tiny_qdq import write_edsr

from edsr_int8 import machine
from edsr_int8.errors import InputError
from edsr_int8.targets.base import Unavailable, open_target
from edsr_int8.targets.execution.upscale import open_build
from edsr_int8.targets.row import TargetRow


def target(runtime: str, provider: str = ""):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    return open_target(TargetRow(runtime, threads=1, memory_budget_mb=1024, provider=provider))


RUNTIMES = pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "torch"])


def planes(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None])


@RUNTIMES
def test_float_builds_run_in_float32_and_nothing_less(runtime: str, tiny: Tiny) -> None:
    run = target(runtime).load(tiny.path)
    for height, width in ((17, 30), (40, 9)):
        image = planes(photograph(height, width))
        assert np.array_equal(run(image), tiny.expected(image))


@RUNTIMES
def test_a_build_can_be_loaded_for_one_shape(runtime: str, tiny: Tiny) -> None:
    run = target(runtime).load(tiny.path, height=12, width=20)
    image = planes(photograph(12, 20))
    assert np.array_equal(run(image), tiny.expected(image))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_build_loaded_for_one_shape_takes_no_other(runtime: str, tiny: Tiny) -> None:
    run = target(runtime).load(tiny.path, height=12, width=20)
    with pytest.raises(Unavailable):
        run(planes(photograph(20, 12)))


@RUNTIMES
def test_a_result_is_the_callers_own(runtime: str, tiny: Tiny) -> None:
    run = target(runtime).load(tiny.path)
    image = planes(photograph(16, 16))
    first = run(image)
    run(planes(photograph(16, 16))[:, :, ::-1].copy())
    assert np.array_equal(first, tiny.expected(image))


@RUNTIMES
def test_an_operation_that_the_runtime_lacks_is_one_line(runtime: str, foreign: Path) -> None:
    with pytest.raises(Unavailable, match="Unheard") as caught:
        target(runtime).load(foreign)
    assert "\n" not in str(caught.value)


@RUNTIMES
def test_a_probe_is_the_same_every_time(runtime: str) -> None:
    probe = target(runtime).probe()
    assert probe["available"] and not probe["why_not"] and probe["version"]
    assert probe == target(runtime).probe()


def test_an_unknown_provider_is_refused_with_those_at_hand() -> None:
    for use in (lambda t: t.probe(), lambda t: t.load(Path("any.onnx"))):
        with pytest.raises(InputError, match=r"'CudaProvider'.*CPUExecutionProvider"):
            use(target("onnxruntime", "CudaProvider"))


def test_a_provider_of_another_build_of_onnxruntime_is_unavailable(tiny: Tiny) -> None:
    coreml = target("onnxruntime", "VitisAIExecutionProvider")
    assert not coreml.probe()["available"]
    with pytest.raises(Unavailable, match=r"VitisAIExecutionProvider is not in this build of onnxruntime"):
        coreml.load(tiny.path)


def test_tensorrt_is_a_provider_with_its_remedy(tiny: Tiny) -> None:
    tensorrt = target("tensorrt")
    if tensorrt.probe()["available"]:
        pytest.skip("TensorRT is here")
    with pytest.raises(Unavailable, match=r"TensorrtExecutionProvider is not in .*install .*tensorrt"):
        tensorrt.load(tiny.path)


def test_a_device_that_torch_lacks_is_unavailable(tiny: Tiny) -> None:
    toaster = target("torch", "toaster")
    assert not toaster.probe()["available"]
    with pytest.raises(Unavailable, match=r"torch has no device 'toaster'"):
        toaster.load(tiny.path)


def test_a_device_that_openvino_does_not_find_is_unavailable(tiny: Tiny) -> None:
    toaster = target("openvino", "TOASTER")
    assert not toaster.probe()["available"]
    with pytest.raises(Unavailable, match=r"'TOASTER'; here are CPU"):
        toaster.load(tiny.path)


@pytest.mark.parametrize("device", ["AUTO", "AUTO:CPU", "AUTO:-GPU", "HETERO:CPU", "MULTI:CPU(2)"])
def test_openvino_runs_on_combined_devices(device: str, tiny: Tiny) -> None:
    image = planes(photograph(17, 30))
    assert np.array_equal(target("openvino", device).load(tiny.path)(image), tiny.expected(image))


@pytest.mark.parametrize("device", ["ALSO:CPU", "MULTI:CPU,TOASTER"])
def test_a_combination_that_openvino_does_not_know_is_unavailable(device: str) -> None:
    assert "finds no device" in target("openvino", device).probe()["why_not"]


def test_a_provider_that_would_leave_all_to_the_cpu_is_unavailable(tiny: Tiny) -> None:
    azure = target("onnxruntime", "AzureExecutionProvider")
    if not azure.probe()["available"]:
        pytest.skip("this build of onnxruntime lacks a provider that takes no node")
    with pytest.raises(Unavailable, match=r"AzureExecutionProvider takes no node of this build"):
        azure.load(tiny.path)


def test_a_missing_openvino_comes_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tiny: Tiny) -> None:
    openvino = target("openvino")
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    assert not openvino.probe()["available"]
    with pytest.raises(Unavailable, match=r"pip install 'edsr-int8\[openvino\]'"):
        openvino.load(tiny.path)


def test_an_unknown_runtime_is_refused_with_those_known() -> None:
    with pytest.raises(InputError, match=r"'tflite' is unknown; known are .*onnxruntime"):
        target("tflite")


def test_a_cpu_whose_int8_sums_overflow_is_refused_or_made_safe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_edsr(tmp_path / "model.onnx")
    image = photograph(20, 30)
    exact = open_build(target("integer"), tmp_path / "model.onnx")(image)
    monkeypatch.setattr(machine, "_cpuinfo", lambda: "flags : avx2 fma")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert machine.saturates()
    assert np.array_equal(open_build(target("onnxruntime"), tmp_path / "model.onnx")(image), exact)
    for device in ("", "CPU", "AUTO", "AUTO:CPU", "AUTO:-GPU", "HETERO:GPU,CPU", "MULTI:CPU(2)"):
        with pytest.raises(Unavailable, match=r"16 bits on this CPU, which has no VNNI.*; use onnxruntime"):
            open_build(target("openvino", device), tmp_path / "model.onnx")
    assert "int8" in target("openvino", "AUTO:GPU").capabilities.dtypes
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert not machine.saturates()
