"""A torch module -> ONNX: a float graph and the uint8 graph that ships, both compared with the module."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from onnx import ModelProto
from torch import nn

from edsr_int8.checkpoints.convert import load_network
from edsr_int8.checkpoints.facts import NetworkFacts
from edsr_int8.errors import InputError
from edsr_int8.files import write_json
from edsr_int8.onnx_file import write_onnx
from edsr_int8.onnx_graph import uint8_graph
from edsr_int8.onnx_session import session_options
from edsr_int8.trace import trace

TOLERANCE = 1e-3  # grey levels between the float graph and the module


def export(checkpoint: Path, image: np.ndarray, out: Path) -> None:
    """Write `out`/float.onnx, uint8.onnx and parity.json for the network converted to folder `checkpoint`.

    The graphs are compared with the module on `image`, uint8 HWC RGB: a crop of a photograph. InputError
    where they differ; nothing is written then.
    """
    module, facts = load_network(checkpoint)
    float_model = float_graph(module, facts)
    uint8_model = uint8_graph(float_model)
    result = parity(module, float_model, uint8_model, image)
    require_parity(result, str(checkpoint))
    write_onnx(float_model, out / "float.onnx")
    write_onnx(uint8_model, out / "uint8.onnx")
    write_json(out / "parity.json", result)


def float_graph(module: nn.Module, facts: NetworkFacts) -> ModelProto:
    """float32 `image` 1x3xHxW, RGB 0..255 -> float32 `output`, not clipped, for any height and width.

    Equal weights and facts give equal bytes.
    """
    return trace(module, facts.metadata())


def run(model: ModelProto, image: np.ndarray) -> np.ndarray:
    """What the graph gives for one NCHW array, in onnxruntime on the CPU."""
    session = ort.InferenceSession(
        model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )
    output: np.ndarray = session.run(["output"], {"image": image})[0]
    return output


def parity(
    module: nn.Module, float_model: ModelProto, uint8_model: ModelProto, image: np.ndarray
) -> dict[str, float]:
    """How far the graphs are from the module on `image`, uint8 HWC RGB.

    max_abs_error: the largest difference between the float graph and the module, in grey levels.
    equal_share, max_difference: of the uint8 graph from the module's output, clipped and rounded; a value
    halfway between two grey levels may be rounded either way. uint8_mismatches: how many values of the
    uint8 graph are not the float graph's, clipped and rounded.
    """
    pixels = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
    with torch.inference_mode():
        reference = module(torch.from_numpy(pixels).float()).numpy()
    output = run(float_model, pixels.astype(np.float32))
    shipped = run(uint8_model, pixels).astype(np.int16)
    difference = np.abs(shipped - _rounded(reference))
    return {
        "height": image.shape[0],
        "width": image.shape[1],
        "max_abs_error": float(np.abs(output - reference).max()),
        "equal_share": float((difference == 0).mean()),
        "max_difference": float(difference.max()),
        "uint8_mismatches": int((shipped != _rounded(output)).sum()),
    }


def require_parity(result: dict[str, float], name: str) -> None:
    """Raise InputError, which begins with `name`, unless the graphs compute what the module does."""
    error, mismatches = result["max_abs_error"], result["uint8_mismatches"]
    if not error <= TOLERANCE:  # so that NaN fails
        raise InputError(
            f"{name}: the ONNX graph differs from torch by {error:g} grey levels, more than {TOLERANCE:g}; "
            "check that features, blocks, scale and res_scale are those that the weights were trained with"
        )
    if mismatches:
        raise InputError(
            f"{name}: the uint8 graph does not round the float graph's output at {mismatches} values"
        )


def _rounded(output: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(output, 0, 255)).astype(np.int16)
