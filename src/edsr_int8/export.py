"""torch -> ONNX: a float graph and the uint8 graph that ships, both checked against torch."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from onnx import ModelProto
from torch import nn

from edsr_int8.checkpoints.convert import load_network
from edsr_int8.checkpoints.facts import NetworkFacts
from edsr_int8.errors import InputError
from edsr_int8.files import atomic, write_json
from edsr_int8.onnx_graph import OPSET, rebuild, uint8_graph
from edsr_int8.onnx_session import session_options

TOLERANCE = 1e-3  # grey levels, float graph against torch


def export(network: Path, image: np.ndarray, out: Path) -> None:
    """Write `out`/float.onnx, uint8.onnx and parity.json for the converted network in folder `network`.

    `image`, uint8 HWC RGB, is what parity is shown on: a crop of a real photograph. InputError where it
    does not hold; nothing is written then.
    """
    module, facts = load_network(network)
    float_model = float_graph(module, facts)
    uint8_model = uint8_graph(float_model)
    result = parity(module, float_model, uint8_model, image)
    require_parity(result, str(network))
    save(float_model, out / "float.onnx")
    save(uint8_model, out / "uint8.onnx")
    write_json(out / "parity.json", result)


def float_graph(network: nn.Module, facts: NetworkFacts) -> ModelProto:
    """float32 `image` 1x3xHxW, RGB 0..255 -> float32 `output`, not clipped, for any height and width.

    Equal weights and facts give equal bytes.
    """
    example = torch.zeros(1, 3, 16, 24)  # any shape does: both lengths are dynamic
    with _silence(), torch.no_grad():
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["image"],
            output_names=["output"],
            opset_version=OPSET,
            dynamic_shapes=({2: torch.export.Dim("height"), 3: torch.export.Dim("width")},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # it is for dynamo=True
    parameters = {name for name, _ in (*network.named_parameters(), *network.named_buffers())}
    return rebuild(program.model_proto, parameters=parameters, metadata=facts.metadata())


def save(model: ModelProto, path: Path) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))


def run(model: ModelProto, image: np.ndarray) -> np.ndarray:
    """One NCHW array through the graph in onnxruntime, on the CPU."""
    session = ort.InferenceSession(
        model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )
    output: np.ndarray = session.run(["output"], {"image": image})[0]
    return output


def parity(
    network: nn.Module, float_model: ModelProto, uint8_model: ModelProto, image: np.ndarray
) -> dict[str, float]:
    """How far the graphs are from torch on `image`, uint8 HWC RGB.

    max_abs_error: float graph against torch, grey levels. equal_share, max_difference: uint8 graph
    against torch's output, clipped and rounded; one grey level at ties of rounding is to be expected.
    uint8_mismatches: values where it is not the float graph's own output, clipped and rounded.
    """
    pixels = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
    with torch.inference_mode():
        reference = network(torch.from_numpy(pixels).float()).numpy()
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
    """Raise InputError, beginning with `name`, unless the graphs compute what torch does."""
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


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's warnings, none of which a user can act on, off the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
