"""The uint8 graph around a float graph written by hand; Python's own rounding says what it must give."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edsr_int8.export import run
from edsr_int8.onnx_graph import assemble, uint8_graph


def test_uint8_graph_clips_and_rounds_half_to_even() -> None:
    nodes = [
        helper.make_node("Mul", ["image", "gain"], ["scaled"], "scaled"),
        helper.make_node("Sub", ["scaled", "shift"], ["output"], "shifted"),
    ]
    constants = [
        numpy_helper.from_array(np.array(v, np.float32), n) for n, v in (("gain", 1.5), ("shift", 60))
    ]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "height", "width"])]
        for name in ("image", "output")
    ]
    shipped = uint8_graph(assemble(nodes, *ends, constants, {"scale": "1"}))
    image = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16).repeat(3, axis=1)
    wanted = [min(255, max(0, round(1.5 * value - 60))) for value in range(256)]  # Python rounds half to even
    np.testing.assert_array_equal(run(shipped, image)[0, 0].ravel(), wanted)
    assert {entry.key: entry.value for entry in shipped.metadata_props} == {"scale": "1"}
