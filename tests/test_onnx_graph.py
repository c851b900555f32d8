"""Renaming and the uint8 graph, on graphs written by hand; onnxruntime says whether they compute the same."""

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edsr_int8.export import run
from edsr_int8.onnx_graph import rebuild, uint8_graph

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.integers(0, 256, (1, 3, 4, 5)).astype(np.float32)


def model(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> ModelProto:
    """image -> output, float, with the traces that an exporter leaves."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "height", "width"])
        for name in ("image", "output")
    ]
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes, "main_graph", ends[:1], ends[1:], weights, doc_string="trace /home/user/x.py"
    )
    for node in graph.node:
        node.doc_string = "File /home/user/x.py, line 3"
        node.metadata_props.add(key="stack_trace", value="/home/user/x.py")
    graph.metadata_props.add(key="graph", value="/home/user")
    graph.initializer[0].doc_string = "/home/user/weights"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    made.producer_version = "9.9+cpu"
    return made


def conv(name: str, source: str, result: str, bias: bool = True) -> onnx.NodeProto:
    inputs = [source, f"{name}.weight"] + ([f"{name}.bias"] if bias else [])
    return helper.make_node("Conv", inputs, [result], f"n_{result}", pads=[1, 1, 1, 1], kernel_shape=[3, 3])


def tensors(name: str) -> dict[str, np.ndarray]:
    return {f"{name}.weight": RANDOM.normal(0, 0.2, (3, 3, 3, 3)), f"{name}.bias": RANDOM.normal(0, 1, 3)}


# Operations that no EDSR has, a layer that is used twice, constants without a name of their own.
ODD_GRAPH = [
    helper.make_node("Sub", ["image", "mean"], ["t0"]),
    conv("a", "t0", "t1"),
    helper.make_node("LeakyRelu", ["t1"], ["t2"], alpha=0.5),
    conv("a", "t2", "t3"),
    helper.make_node("Relu", ["t3"], ["t4"]),
    helper.make_node("Relu", ["t4"], ["t5"]),
    helper.make_node("Mul", ["t5", "c17"], ["t6"]),
    conv("b", "t6", "t7"),
    helper.make_node("Add", ["t1", "t7"], ["t8"]),
    helper.make_node("Clip", ["t8", "c18", "c19"], ["t9"]),
    helper.make_node("Split", ["t9"], ["t10", "t11"], axis=1, num_outputs=2),
    helper.make_node("Concat", ["t10", "t11"], ["t12"], axis=1),
    helper.make_node("Add", ["t12", "mean"], ["output"]),
]
ODD_CONSTANTS = {
    **tensors("a"), **tensors("b"), "mean": np.full((1, 3, 1, 1), 100.0), "c17": np.array(0.1),
    "c18": np.array(-50.0), "c19": np.array(50.0),
}  # fmt: skip
PARAMETERS = {"a.weight", "a.bias", "b.weight", "b.bias", "mean"}


@pytest.fixture(scope="module")
def odd() -> tuple[ModelProto, ModelProto]:
    before = model(ODD_GRAPH, ODD_CONSTANTS)
    return before, rebuild(before, parameters=PARAMETERS, metadata={"scale": "1", "network": "odd"})


def test_nodes_are_named_by_layer(odd: tuple[ModelProto, ModelProto]) -> None:
    assert [node.name for node in odd[1].graph.node] == [
        "sub_mean", "a", "a.leakyrelu", "a_", "a_.relu", "a_.relu_", "a_.scale", "b", "b.add", "b.clip",
        "b.split", "b.concat", "add_mean",
    ]  # fmt: skip


def test_every_output_but_the_graphs_is_its_nodes_name(odd: tuple[ModelProto, ModelProto]) -> None:
    *inner, last = odd[1].graph.node
    assert all(node.output[0] == node.name for node in inner)
    assert list(last.output) == ["output"]


def test_constants_keep_a_parameters_name_or_take_their_users(odd: tuple[ModelProto, ModelProto]) -> None:
    names = {tensor.name for tensor in odd[1].graph.initializer}
    assert names == PARAMETERS | {"a_.scale.1", "b.clip.1", "b.clip.2"}


def test_the_renamed_graph_computes_the_same(odd: tuple[ModelProto, ModelProto]) -> None:
    before, after = odd
    np.testing.assert_array_equal(run(before, IMAGE), run(after, IMAGE))


def test_nothing_of_the_exporter_is_left(odd: tuple[ModelProto, ModelProto]) -> None:
    content = odd[1].SerializeToString()
    assert b"/home" not in content and b"9.9+cpu" not in content
    assert {entry.key: entry.value for entry in odd[1].metadata_props} == {"scale": "1", "network": "odd"}


def test_a_dropped_zero_bias_comes_back_where_the_layer_has_one() -> None:
    with_bias, without = tensors("a"), tensors("b")
    del with_bias["a.bias"], without["b.bias"]
    before = model(
        [conv("a", "image", "t", bias=False), conv("b", "t", "output", bias=False)], with_bias | without
    )
    after = rebuild(before, parameters={"a.weight", "a.bias", "b.weight"}, metadata={})
    assert [list(node.input[1:]) for node in after.graph.node] == [["a.weight", "a.bias"], ["b.weight"]]
    np.testing.assert_array_equal(run(before, IMAGE), run(after, IMAGE))


def test_control_flow_is_refused() -> None:
    branch = helper.make_graph([helper.make_node("Identity", ["image"], ["y"])], "b", [], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])  # fmt: skip
    node = helper.make_node("If", ["c"], ["output"], then_branch=branch, else_branch=branch)
    with pytest.raises(ValueError, match="control flow"):
        rebuild(model([node], {"c": np.array(1)}), parameters=(), metadata={})


def test_uint8_graph_clips_and_rounds_half_to_even() -> None:
    nodes = [
        helper.make_node("Mul", ["image", "gain"], ["t"]),
        helper.make_node("Sub", ["t", "shift"], ["output"]),
    ]
    constants = {"gain": np.array(1.5), "shift": np.array(60.0)}
    shipped = uint8_graph(rebuild(model(nodes, constants), parameters=(), metadata={"scale": "1"}))
    image = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16).repeat(3, axis=1)
    wanted = [min(255, max(0, round(1.5 * value - 60))) for value in range(256)]  # Python rounds half to even
    np.testing.assert_array_equal(run(shipped, image)[0, 0].ravel(), wanted)
    assert {entry.key: entry.value for entry in shipped.metadata_props} == {"scale": "1"}
