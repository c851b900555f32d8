"""A build as an onnxruntime session on Qualcomm's HTP, alone: no node falls back to the CPU."""

import functools
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import onnxruntime

from edsr_int8.onnx_file import read_onnx
from edsr_int8.onnx_session import session_options
from edsr_int8.targets.base import Unavailable, one_line
from edsr_int8.targets.form import Form, in_form

PROVIDER = "QNNExecutionProvider"
INSTALL = "qnn is not installed; pip install 'edsr-int8[qnn]' (Linux and Windows, on x86-64 and ARM64)"
OPSET = 17
Shape = tuple[int, int]  # height, width


@functools.cache  # once a process: a library is registered for all sessions
def devices() -> tuple[Any, ...]:
    """The HTP, or what simulates it here. The plugin leaves onnxruntime's own providers as they are.

    Unavailable: the plugin is not installed, or does not load.
    """
    try:
        import onnxruntime_qnn

        onnxruntime.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
    except ImportError:
        raise Unavailable(INSTALL) from None
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise Unavailable(f"qnn: its plugin does not load: {one_line(error)}") from error
    found = [device for device in onnxruntime.get_ep_devices() if device.ep_name == PROVIDER]
    npus = [d for d in found if d.device.type == onnxruntime.OrtHardwareDeviceType.NPU]
    if not found:
        raise Unavailable("qnn: its plugin finds neither an HTP nor a simulator of it on this machine")
    return tuple(npus or found)[:1]


def open_session(
    model: Path,
    shape: Shape,
    architecture: str,
    *,
    provider: Mapping[str, str] | None = None,
    config: Mapping[str, str] | None = None,
) -> onnxruntime.InferenceSession:
    """`model` for images of one shape, compiled for one generation of the HTP.

    `provider`: further options of the provider, `config`: further entries of the session. Unavailable: why
    not, such as a node that the HTP refuses.
    """
    options = session_options(1)
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    for key, value in (config or {}).items():
        options.add_session_config_entry(key, value)
    wanted = {"backend_type": "htp", "htp_arch": architecture, **(provider or {})}
    options.add_provider_for_devices(list(devices()), wanted)
    build = read_onnx(model)
    try:
        written = in_form(build, Form(OPSET, fused_relu=False, shape=shape)).SerializeToString(
            deterministic=True
        )
        return onnxruntime.InferenceSession(written, options)
    except Exception as error:  # as above; ValueError: a part of the build has no such form
        raise Unavailable(f"qnn cannot load {model}: {one_line(error)}") from error


def installed() -> str:
    """The plugin's version; '' where it is not installed."""
    try:
        return version("onnxruntime-qnn")
    except PackageNotFoundError:
        return ""
