"""Runs in the Python of Rockchip's toolkit, which has its own numpy and onnx, and nothing of this project.

    python driver.py MODEL.onnx PLATFORM OUT.rknn

It compiles the model, writes OUT.rknn and answers on standard output: a frame of JSON with the toolkit's
version, then a frame for each frame on standard input, both of them an array in NumPy's format. What the
toolkit prints goes to standard error. A frame is its length in 8 bytes, little end first, and as many bytes.
"""

import io
import json
import os
import sys
from typing import BinaryIO


def main(model: str, platform: str, out: str) -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the toolkit prints from C, too
    from importlib.metadata import version

    import numpy as np
    from rknn.api import RKNN

    toolkit = RKNN(verbose=True)
    # 2: at 3 it takes a convolution of a concatenation apart and leaves the second part in float16.
    toolkit.config(target_platform=platform, optimization_level=2)
    require(toolkit.load_onnx(model=model), "load_onnx")
    require(toolkit.build(do_quantization=False), "build")
    require(toolkit.export_rknn(out), "export_rknn")
    require(toolkit.init_runtime(), "init_runtime")  # without a target: the simulator
    write_frame(answers, json.dumps({"version": version("rknn-toolkit2")}).encode())
    while frame := read_frame(sys.stdin.buffer):
        image = np.load(io.BytesIO(frame), allow_pickle=False)
        (made,) = toolkit.inference(inputs=[image], data_format=["nchw"])
        answer = io.BytesIO()
        np.save(answer, made)
        write_frame(answers, answer.getvalue())


def require(status: int, step: str) -> None:
    if status:
        sys.exit(f"{step} failed")


def read_frame(stream: BinaryIO) -> bytes:
    """b'' at the end of the stream."""
    return stream.read(int.from_bytes(stream.read(8), "little"))


def write_frame(stream: BinaryIO, content: bytes) -> None:
    stream.write(len(content).to_bytes(8, "little") + content)
    stream.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
